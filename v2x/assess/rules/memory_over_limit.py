# SPDX-License-Identifier: Apache-2.0
"""More memory than XCP-ng can give."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import RELEASE
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(context: Context) -> Iterator[Said]:
    size = context.machine.memory.size_bytes
    limit = context.limit("memory_max_bytes")
    if size > limit:
        yield Remark(f"{show_bytes(size)} of memory; at most {show_bytes(limit)} are possible.")
    elif size > context.estate.lowest_limit("memory_max_bytes") and not context.knows_release:
        yield RELEASE


RULE = MachineRule(
    id="memory.over-limit",
    severity=Severity.BLOCKER,
    label="More memory than XCP-ng supports",
    remedy="Lower memory in the plan.",
    source="XCP-ng documentation, installation requirements: 8 TiB per machine, 1.5 TiB on version 8.2",
    check=check,
)
