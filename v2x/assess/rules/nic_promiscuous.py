# SPDX-License-Identifier: Apache-2.0
"""A card that may listen to all frames of its network."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import PORT_GROUPS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        network = context.source_network(nic)
        if network is not None and network.promiscuous:
            yield Remark(f"On network “{nic.network}”.", nic_name(nic))


RULE = MachineRule(
    id="nic.promiscuous",
    severity=Severity.WARNING,
    label="Promiscuous mode is not carried over",
    remedy=(
        "If the guest listens to its neighbours (monitoring, intrusion detection), mirror the traffic to its "
        "port on the pool."
    ),
    source=("vSphere: SecurityPolicy.allowPromiscuous; Open vSwitch sends a port only what is for its addresses"),
    needs=(PORT_GROUPS,),
    check=check,
)
