# SPDX-License-Identifier: Apache-2.0
"""More virtual processors than XCP-ng can give."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import RELEASE
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    count = context.machine.cpu.count
    limit = context.limit("vcpus_max")
    if count > limit:
        yield Remark(f"{count} virtual processors; at most {limit} are possible.")
    elif count > context.estate.lowest_limit("vcpus_max") and not context.knows_release:
        yield RELEASE


RULE = MachineRule(
    id="cpu.over-limit",
    severity=Severity.BLOCKER,
    label="More virtual processors than XCP-ng supports",
    remedy="Lower vcpus in the plan.",
    source="XCP-ng documentation, installation requirements: 128 per machine, 32 on version 8.2",
    check=check,
)
