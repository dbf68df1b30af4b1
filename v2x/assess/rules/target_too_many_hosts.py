# SPDX-License-Identifier: Apache-2.0
"""A pool larger than supported."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import POOL
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity


def check(estate: Estate) -> Iterator[Remark]:
    facts = estate.facts
    limit = estate.limit("pool_hosts_max")
    if facts is not None and len(facts.hosts) > limit:
        yield Remark(f"{len(facts.hosts)} hosts; {limit} are supported.")


RULE = EstateRule(
    id="target.too-many-hosts",
    severity=Severity.WARNING,
    label="The pool has more hosts than XCP-ng supports",
    remedy="Split the pool.",
    source="XCP-ng documentation, installation requirements: 64 hosts",
    needs=(POOL,),
    check=check,
)
