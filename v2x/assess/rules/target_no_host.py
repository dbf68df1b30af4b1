# SPDX-License-Identifier: Apache-2.0
"""A pool without a host to start on."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import POOL
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity
from v2x.text import plural


def check(estate: Estate) -> Iterator[Remark]:
    facts = estate.facts
    if facts is not None and not estate.offline and facts.hosts and not estate.pool.hosts:
        yield Remark(f"{plural(len(facts.hosts), 'host')}, none enabled.")


RULE = EstateRule(
    id="target.no-host",
    severity=Severity.BLOCKER,
    label="No host of the pool is enabled",
    remedy="Enable a host (xe host-enable), then assess again.",
    source="XAPI: NO_HOSTS_AVAILABLE",
    needs=(POOL,),
    check=check,
)
