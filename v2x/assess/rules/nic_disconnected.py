# SPDX-License-Identifier: Apache-2.0
"""A network card whose cable is out."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        if not nic.connected:
            yield Remark(f"On network “{nic.network}”.", nic_name(nic))


RULE = MachineRule(
    id="nic.disconnected",
    severity=Severity.WARNING,
    label="A network card that is disconnected at the source will be connected",
    remedy=("Unplug the card on the new machine before it starts, or leave it on a network of its own in the plan."),
    source="XAPI plugs every VIF of a machine when it starts",
    check=check,
)
