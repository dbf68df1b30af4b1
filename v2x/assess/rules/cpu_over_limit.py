# SPDX-License-Identifier: Apache-2.0
"""More virtual processors than XCP-ng can give."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    count = context.machine.cpu.count
    limit = context.limit("vcpus_max")
    if count > limit:
        yield Remark(f"{count} virtual processors; at most {limit} are possible.")


RULE = MachineRule(
    id="cpu.over-limit",
    severity=Severity.BLOCKER,
    label="More virtual processors than XCP-ng supports",
    remedy="Lower vcpus in the plan.",
    source="XCP-ng documentation, installation requirements: 128 per machine, 32 on version 8.2",
    check=check,
)
