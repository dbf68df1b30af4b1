# SPDX-License-Identifier: Apache-2.0
"""An account that may not do what a move needs."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.rule import EstateRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(estate: Estate) -> Iterator[Said]:
    missing = estate.inventory.source.missing_privileges
    if missing:
        yield Remark(f"{', '.join(missing)}.")
    elif not estate.inventory.source.account:
        yield Unknown(
            "No account was asked for its privileges.", "Assess the live source with the account that shall migrate."
        )


RULE = EstateRule(
    id="source.missing-privileges",
    severity=Severity.BLOCKER,
    label="The account at the source lacks privileges",
    remedy=("Give the account the privileges named, on the objects of the move, then take the inventory again."),
    source="vSphere API: HasPrivilegeOnEntities; Hyper-V: the group Hyper-V Administrators; Forklift checks the same",
    sources=frozenset({"hyperv", "rvtools", "vsphere"}),
    check=check,
)
