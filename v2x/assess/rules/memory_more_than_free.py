# SPDX-License-Identifier: Apache-2.0
"""More memory than any host has free now."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import POOL_HOSTS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(context: Context) -> Iterator[Remark]:
    size = context.machine.memory.size_bytes
    hosts = context.estate.pool.hosts
    most = max((host.memory_total_bytes for host in hosts), default=0)
    free = max((host.memory_free_bytes for host in hosts), default=0)
    if free < size <= most:
        yield Remark(f"{show_bytes(size)} of memory; {show_bytes(free)} is the most that one host has free.")


RULE = MachineRule(
    id="memory.more-than-free",
    severity=Severity.WARNING,
    label="No host of the pool has that much memory free at present",
    remedy="Stop or move other machines before this one is started, or lower memory in the plan.",
    source="XAPI refuses such a start: HOST_NOT_ENOUGH_FREE_MEMORY",
    needs=(POOL_HOSTS,),
    check=check,
)
