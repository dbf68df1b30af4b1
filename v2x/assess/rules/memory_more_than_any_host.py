# SPDX-License-Identifier: Apache-2.0
"""More memory than any host has."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import POOL_HOSTS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(context: Context) -> Iterator[Remark]:
    size = context.machine.memory.size_bytes
    most = max((host.memory_total_bytes for host in context.estate.pool.hosts), default=0)
    if 0 < most < size:
        yield Remark(f"{show_bytes(size)} of memory; the largest enabled host has {show_bytes(most)}.")


RULE = MachineRule(
    id="memory.more-than-any-host",
    severity=Severity.BLOCKER,
    label="No host of the pool has that much memory",
    remedy="Lower memory in the plan, or add a larger host to the pool.",
    source="XAPI refuses such a start: HOST_NOT_ENOUGH_FREE_MEMORY",
    needs=(POOL_HOSTS,),
    check=check,
)
