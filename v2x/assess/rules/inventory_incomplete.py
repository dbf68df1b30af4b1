# SPDX-License-Identifier: Apache-2.0
"""A part of the source that could not be listed."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import ABOUT_NOT_KNOWING
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity


def check(estate: Estate) -> Iterator[Remark]:
    for problem in estate.inventory.problems:
        yield Remark(f"{problem.text} ({problem.code})", problem.subject)


RULE = EstateRule(
    id="inventory.incomplete",
    severity=Severity.WARNING,
    label="A part of the source could not be listed",
    remedy="Repair what is named, then take the inventory again; what could not be listed was not assessed.",
    source="The listing of the source",
    always_known=ABOUT_NOT_KNOWING,
    check=check,
)
