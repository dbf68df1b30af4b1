# SPDX-License-Identifier: Apache-2.0
"""A cluster that powers hosts off."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.needs import CLUSTERS
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity


def check(estate: Estate) -> Iterator[Remark]:
    for cluster in estate.inventory.clusters:
        if cluster.dpm:
            yield Remark(f"DPM is on in “{cluster.name}”.", cluster.name)


RULE = EstateRule(
    id="source.dpm",
    severity=Severity.INFO,
    label="The source may power hosts off",
    remedy="Turn distributed power management off for the time of the move.",
    source="vSphere DPM; Forklift: dpm_enabled",
    needs=(CLUSTERS,),
    sources=frozenset({"rvtools", "vsphere"}),
    check=check,
)
