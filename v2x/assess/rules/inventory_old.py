# SPDX-License-Identifier: Apache-2.0
"""An inventory taken long ago."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.rule import EstateRule, Remark, Said, Unknown
from v2x.model.finding import Severity

_DAYS = 14


def check(estate: Estate) -> Iterator[Said]:
    if estate.facts is None:
        yield Unknown(
            "The age of the inventory is not known without facts of the same day.",
            "Assess with --target, or take the inventory again.",
        )
        return
    days = (estate.facts.taken_at - estate.inventory.taken_at).days
    if days > _DAYS:
        yield Remark(f"It was taken {days:,} days before the pool was asked.")


RULE = EstateRule(
    id="inventory.old",
    severity=Severity.WARNING,
    label="The inventory is old",
    remedy="Take it again: machines, snapshots and free space change every day.",
    source="The time of the inventory against that of the facts of the pool",
    check=check,
)
