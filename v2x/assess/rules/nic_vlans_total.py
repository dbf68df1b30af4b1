# SPDX-License-Identifier: Apache-2.0
"""More VLANs than a pool can have."""

from collections.abc import Iterator

from v2x.assess.context import Estate
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity


def check(estate: Estate) -> Iterator[Remark]:
    vlans = {estate.places.origin(nic, machine).vlan for machine in estate.inventory.machines for nic in machine.nics}
    count = len(vlans - {None, 0})
    limit = estate.limit("vlans_max")
    if count > limit:
        yield Remark(f"{count:,} VLANs; {limit:,} are supported.")


RULE = EstateRule(
    id="nic.vlans-total",
    severity=Severity.WARNING,
    label="The machines use more VLANs than a pool supports",
    remedy="Split the machines over several pools, or use trunks.",
    source="XCP-ng documentation, installation requirements: 800 VLANs",
    always_known="VLANs that the source does not tell are nic.network-not-on-pool",
    check=check,
)
