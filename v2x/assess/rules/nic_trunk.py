# SPDX-License-Identifier: Apache-2.0
"""A card that gets several VLANs with their tags."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import PORT_GROUPS
from v2x.assess.rule import MachineRule, Remark
from v2x.mapping.networks import trunk_ids
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    trunks = context.facts is not None and context.facts.vif_trunks
    for nic in context.machine.nics:
        trunk = context.origin(nic).trunk
        if not trunk:
            continue
        ids = trunk_ids(trunk)
        shown = ", ".join(f"{one.first}" if one.first == one.last else f"{one.first}-{one.last}" for one in trunk)
        seen = "the pool lets only these through" if ids and trunks else "on the pool every VLAN reaches the guest"
        yield Remark(f"VLANs {shown} of network “{nic.network}”; {seen}.", nic_name(nic))


RULE = MachineRule(
    id="nic.trunk",
    severity=Severity.WARNING,
    label="A card on a VLAN trunk goes to the untagged network of the interface",
    remedy=(
        "Make sure that the guest may see every VLAN of that interface, or give the machine one card for each "
        "VLAN instead. Pools with xapi 26.17 or later filter by VIF.trunks."
    ),
    source="vSphere: VLAN 4095 or a VLAN range; Hyper-V: Set-VMNetworkAdapterVlan -Trunk; XAPI: VIF.trunks",
    needs=(PORT_GROUPS,),
    check=check,
)
