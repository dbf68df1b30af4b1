# SPDX-License-Identifier: Apache-2.0
"""A guest that is itself a hypervisor."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    if context.machine.cpu.nested_virtualization:
        yield Remark("The processor's virtualisation is exposed to the guest, which will not find it on XCP-ng.")


RULE = MachineRule(
    id="cpu.nested-virtualization",
    severity=Severity.WARNING,
    label="Nested virtualisation is not supported",
    remedy="Move what runs inside this guest instead, or turn the feature off at the source and test.",
    source="XCP-ng documentation, compute: nested virtualisation is not supported",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
