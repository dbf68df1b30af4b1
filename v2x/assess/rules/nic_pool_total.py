# SPDX-License-Identifier: Apache-2.0
"""More cards than hosts can carry."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import POOL_HOSTS
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity
from v2x.text import plural


def check(estate: Estate) -> Iterator[Remark]:
    hosts = len(estate.pool.hosts)
    cards = sum(len(one.nics) for one in estate.inventory.machines)
    limit = estate.limit("host_nics_max")
    if hosts and cards > hosts * limit:
        yield Remark(f"{cards:,} network cards; at most {hosts * limit:,} on {plural(hosts, 'host')}.")


RULE = EstateRule(
    id="nic.pool-total",
    severity=Severity.WARNING,
    label="The machines have more network cards than the hosts can carry",
    remedy="Add hosts, or move fewer machines.",
    source="XCP-ng documentation, installation requirements: 512 virtual network cards per host",
    needs=(POOL_HOSTS,),
    check=check,
)
