# SPDX-License-Identifier: Apache-2.0
"""A card on a private VLAN."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import PORT_GROUPS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        network = context.source_network(nic)
        private = nic.private_vlan or (network.private_vlan if network is not None else "")
        if private:
            yield Remark(f"Network “{nic.network}”: {private}.", nic_name(nic))


RULE = MachineRule(
    id="nic.private-vlan",
    severity=Severity.WARNING,
    label="A private VLAN isolates the machine from its neighbours; XCP-ng has none",
    remedy="Keep it apart by a VLAN of its own, by VIF locking, or by traffic rules of the SDN controller.",
    source=(
        "vSphere: VmwareDistributedVirtualSwitchPvlanSpec; Hyper-V: Set-VMNetworkAdapterVlan; XAPI has no private VLANs"
    ),
    needs=(PORT_GROUPS,),
    check=check,
)
