# SPDX-License-Identifier: Apache-2.0
"""A network card whose cable is out."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        if not nic.connected:
            yield Remark(f"On network “{nic.network}”.", nic_name(nic))


RULE = MachineRule(
    id="nic.disconnected",
    severity=Severity.INFO,
    label="A network card that is disconnected at the source passes no traffic on the target",
    remedy="Set its locking mode to network_default when it shall be connected (xe vif-param-set).",
    source="XAPI plugs every VIF of a machine when it starts; locking mode disabled lets no frame through",
    always_known=LISTED,
    check=check,
)
