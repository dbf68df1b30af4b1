# SPDX-License-Identifier: Apache-2.0
"""More memory than a snapshot with memory can hold."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import SAME_EVERYWHERE
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(context: Context) -> Iterator[Remark]:
    size = context.machine.memory.size_bytes
    limit = context.limit("memory_snapshot_max_bytes")
    if limit < size <= context.limit("memory_max_bytes"):
        yield Remark(f"{show_bytes(size)} of memory; {show_bytes(limit)} is the most that a memory snapshot holds.")


RULE = MachineRule(
    id="memory.no-memory-snapshot",
    severity=Severity.WARNING,
    label="Too much memory for a snapshot with memory",
    remedy="Plan backups of this machine without memory snapshots, or lower memory in the plan.",
    source="XCP-ng documentation, installation requirements: 1.5 TiB with a memory snapshot",
    always_known=SAME_EVERYWHERE,
    check=check,
)
