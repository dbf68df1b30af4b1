# SPDX-License-Identifier: Apache-2.0
"""More virtual processors than are covered by security support."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import SAME_EVERYWHERE
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    count = context.machine.cpu.count
    limit = context.limit("vcpus_supported_max")
    if limit < count <= context.limit("vcpus_max"):
        yield Remark(f"{count} virtual processors; {limit} are supported for guests that are not trusted.")


RULE = MachineRule(
    id="cpu.over-supported",
    severity=Severity.WARNING,
    label="More virtual processors than XCP-ng supports for untrusted guests",
    remedy="Lower vcpus in the plan, or accept it for a guest that you trust.",
    source="XCP-ng documentation, installation requirements: 32 are security-supported",
    always_known=SAME_EVERYWHERE,
    check=check,
)
