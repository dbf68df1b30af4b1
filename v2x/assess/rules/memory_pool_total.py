# SPDX-License-Identifier: Apache-2.0
"""Less memory on the pool than all machines need."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import POOL_HOSTS
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import PowerState
from v2x.model.units import show_bytes


def check(estate: Estate) -> Iterator[Remark]:
    hosts = estate.pool.hosts
    wanted = sum(one.memory.size_bytes for one in estate.inventory.machines if one.power_state is PowerState.ON)
    free = sum(host.memory_free_bytes for host in hosts)
    if hosts and wanted > free:
        yield Remark(f"{show_bytes(wanted)} for the machines that run now, {show_bytes(free)} free on all hosts.")


RULE = EstateRule(
    id="memory.pool-total",
    severity=Severity.WARNING,
    label="The pool has less free memory than all machines need together",
    remedy="Add hosts, stop machines, or lower memory in the plan: XCP-ng gives each machine all its memory, always.",
    source="XAPI: host_metrics.memory_free; XCP-ng does not overcommit memory",
    needs=(POOL_HOSTS,),
    check=check,
)
