# SPDX-License-Identifier: Apache-2.0
"""A network that leads nowhere."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import PORT_GROUPS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        network = context.source_network(nic)
        if network is not None and network.internal:
            yield Remark(f"Network “{nic.network}”.", nic_name(nic))


RULE = MachineRule(
    id="nic.internal-switch",
    severity=Severity.WARNING,
    label="A card is on a switch without an uplink",
    remedy="Choose or make an internal network on the pool: machines on one such network must then run on one host.",
    source=(
        "Hyper-V: internal and private switches; vSphere: a switch without uplinks; XAPI: networks without PIF are "
        "local to a host"
    ),
    needs=(PORT_GROUPS,),
    check=check,
)
