# SPDX-License-Identifier: Apache-2.0
"""Many processors for one pool."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import POOL_HOSTS
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import PowerState

_MOST_FOR_EACH = 4


def check(estate: Estate) -> Iterator[Remark]:
    threads = sum(host.cpu_count for host in estate.pool.hosts)
    wanted = sum(one.cpu.count for one in estate.inventory.machines if one.power_state is PowerState.ON)
    if threads and wanted > _MOST_FOR_EACH * threads:
        yield Remark(f"{wanted:,} virtual processors of running machines for {threads:,} threads.")


RULE = EstateRule(
    id="cpu.pool-total",
    severity=Severity.INFO,
    label="The machines have many more processors than the pool",
    remedy=(
        "Watch the load after each wave; more than four virtual processors for each thread slow busy machines down."
    ),
    source="A rule of thumb for mixed load",
    needs=(POOL_HOSTS,),
    check=check,
)
