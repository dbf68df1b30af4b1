# SPDX-License-Identifier: Apache-2.0
"""A source without machines."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import ABOUT_NOT_KNOWING
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity


def check(estate: Estate) -> Iterator[Remark]:
    if not estate.inventory.machines:
        yield Remark("There is nothing to assess.")


RULE = EstateRule(
    id="inventory.empty",
    severity=Severity.WARNING,
    label="The source lists no machine",
    remedy="Check the address, and that the account may see the machines.",
    source="The listing of the source",
    always_known=ABOUT_NOT_KNOWING,
    check=check,
)
