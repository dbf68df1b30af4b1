# SPDX-License-Identifier: Apache-2.0
"""A pool without templates."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import POOL
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity


def check(estate: Estate) -> Iterator[Remark]:
    facts = estate.facts
    if facts is not None and not estate.offline and not facts.templates:
        yield Remark("It lists none.")


RULE = EstateRule(
    id="target.no-template",
    severity=Severity.WARNING,
    label="The pool has no templates",
    remedy=(
        "Run xe-toolstack-restart or create-guest-templates on the coordinator; v2x makes machines without one, "
        "with fewer settings fitted to the guest."
    ),
    source="XAPI: templates are made at the first start of a pool",
    needs=(POOL,),
    check=check,
)
