# SPDX-License-Identifier: Apache-2.0
"""A card that may send with other MAC addresses than its own."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import PORT_GROUPS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        network = context.source_network(nic)
        told = network is not None and network.forged_transmits
        if told if nic.forged_transmits is None else nic.forged_transmits:
            yield Remark(f"On network “{nic.network}”.", nic_name(nic))


RULE = MachineRule(
    id="nic.forged-transmits",
    severity=Severity.INFO,
    label=("The source lets the guest send with foreign MAC addresses; so does XCP-ng, unless its network is locked"),
    remedy=("Nothing for virtual addresses and nested machines. Leave the network's default locking mode at unlocked."),
    source=(
        "vSphere: SecurityPolicy.forgedTransmits; Hyper-V: MacAddressSpoofing; XAPI: VIF.locking_mode, "
        "network.default_locking_mode"
    ),
    needs=(PORT_GROUPS,),
    check=check,
)
