# SPDX-License-Identifier: Apache-2.0
"""A card on no network."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import ABOUT_NOT_KNOWING
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        if not nic.network:
            yield Remark("It goes to no network by itself.", nic_name(nic))


RULE = MachineRule(
    id="nic.no-network",
    severity=Severity.WARNING,
    label="A network card is on no network of the source",
    remedy="Name its network in the plan, or remove the card at the source.",
    source="vSphere: a deleted port group; Hyper-V: a card without a switch; Forklift: nic_unresolved_network",
    always_known=ABOUT_NOT_KNOWING,
    check=check,
)
