# SPDX-License-Identifier: Apache-2.0
"""A cluster that moves machines by itself."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import CLUSTERS
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity


def check(estate: Estate) -> Iterator[Remark]:
    for cluster in estate.inventory.clusters:
        if cluster.drs.casefold() == "fullyautomated":
            yield Remark(f"DRS is fully automated in “{cluster.name}”.", cluster.name)


RULE = EstateRule(
    id="source.drs",
    severity=Severity.INFO,
    label="The source may move machines between hosts in mid-copy",
    remedy=(
        "Set machines to manual in DRS for the time of the move: a vMotion ends the connection that a disk is read "
        "over, and v2x has to continue."
    ),
    source="vSphere DRS; Forklift: drs_enabled",
    needs=(CLUSTERS,),
    sources=frozenset({"rvtools", "vsphere"}),
    check=check,
)
