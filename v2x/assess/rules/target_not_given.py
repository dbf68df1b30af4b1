# SPDX-License-Identifier: Apache-2.0
"""An assessment without a target."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import ABOUT_NOT_KNOWING
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity


def check(estate: Estate) -> Iterator[Remark]:
    if estate.facts is None:
        yield Remark("Everything that depends on the pool is unknown.")


RULE = EstateRule(
    id="target.not-given",
    severity=Severity.INFO,
    label="No pool was asked",
    remedy=(
        "Assess with --target: free space, names, MAC addresses, networks, templates, hosts and certificates "
        "of the pool are then checked too."
    ),
    source="This run",
    always_known=ABOUT_NOT_KNOWING,
    check=check,
)
