# SPDX-License-Identifier: Apache-2.0
"""An assessment of an export."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity


def check(estate: Estate) -> Iterator[Remark]:
    if estate.kind == "rvtools":
        yield Remark("An RVTools export.")


RULE = EstateRule(
    id="inventory.from-export",
    severity=Severity.INFO,
    label="This assessment is of an export, not of the source itself",
    remedy="Assess the source itself before the move: a plan for a migration needs it, and more is known then.",
    source="RVTools exports list machines and hold no disks",
    always_known="the kind of the source is always known",
    check=check,
)
