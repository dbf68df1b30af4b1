# SPDX-License-Identifier: Apache-2.0
"""A host that takes no machines."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import POOL
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity


def check(estate: Estate) -> Iterator[Remark]:
    facts = estate.facts
    for host in facts.hosts if facts is not None else ():
        if not host.enabled and estate.pool.hosts:
            yield Remark(f"Host “{host.name}”.", host.name)


RULE = EstateRule(
    id="target.host-disabled",
    severity=Severity.INFO,
    label="A host of the pool is not enabled",
    remedy="Nothing, if it is meant so; its memory and processors do not count in this report.",
    source="XAPI: host.enabled is false in maintenance, during updates, and while a host is down",
    needs=(POOL,),
    check=check,
)
