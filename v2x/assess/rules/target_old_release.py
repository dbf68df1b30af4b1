# SPDX-License-Identifier: Apache-2.0
"""A pool of an old release."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import POOL
from v2x.assess.rule import EstateRule, Remark
from v2x.mapping.tables import version_key
from v2x.model.finding import Severity


def check(estate: Estate) -> Iterator[Remark]:
    facts = estate.facts
    if (
        facts is not None
        and facts.version
        and version_key(facts.version) < (8, 3)
        and "xcp" in facts.product.casefold()
    ):
        yield Remark(f"{facts.product} {facts.version}.")


RULE = EstateRule(
    id="target.old-release",
    severity=Severity.WARNING,
    label="The pool runs a release that is no longer supported",
    remedy="Update the pool to XCP-ng 8.3 before the move: no vTPM, QCOW2 or more than 32 processors on the old one.",
    source="XCP-ng 8.2 ended its support in September 2025",
    needs=(POOL,),
    check=check,
)
