# SPDX-License-Identifier: Apache-2.0
"""Dynamic memory that starts low."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(context: Context) -> Iterator[Said]:
    memory = context.machine.memory
    if memory.demand_bytes is not None and memory.demand_bytes > memory.size_bytes:
        yield Remark(f"{show_bytes(memory.size_bytes)} at start, {show_bytes(memory.demand_bytes)} in use when seen.")
    elif memory.demand_bytes is None and memory.dynamic_max_bytes is not None:
        yield Unknown(
            "The source does not tell how much of its dynamic memory the guest uses.",
            "Take the inventory while the machine runs.",
        )


RULE = MachineRule(
    id="memory.startup-below-demand",
    severity=Severity.WARNING,
    label="The guest uses more memory than it starts with",
    remedy="Set memory in the plan to what it uses: on XCP-ng the machine has exactly that much, always.",
    source="Hyper-V: MemoryStartup, MemoryDemand; Forklift reads the startup size only",
    check=check,
)
