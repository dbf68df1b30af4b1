# SPDX-License-Identifier: Apache-2.0
"""A card behind which the source learns several MAC addresses."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import PORT_GROUPS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        network = context.source_network(nic)
        if network is not None and network.mac_learning:
            yield Remark(f"On network “{nic.network}”.", nic_name(nic))


RULE = MachineRule(
    id="nic.mac-learning",
    severity=Severity.INFO,
    label="The source learns MAC addresses behind the card; Open vSwitch on XCP-ng always does",
    remedy=("Nothing, unless the network is locked; the limits that the source sets on learning are not carried over."),
    source="vSphere: DVSMacLearningPolicy; Open vSwitch: the normal action learns addresses on every port",
    needs=(PORT_GROUPS,),
    check=check,
)
