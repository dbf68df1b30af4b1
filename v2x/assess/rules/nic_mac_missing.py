# SPDX-License-Identifier: Apache-2.0
"""A network card without a MAC address in the source."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import ABOUT_NOT_KNOWING
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        if not nic.mac:
            yield Remark("A new address is made.", nic_name(nic))


RULE = MachineRule(
    id="nic.mac-missing",
    severity=Severity.WARNING,
    label="The source does not tell a network card's MAC address",
    remedy=(
        "Write the address of the present machine into the source's description, or be ready for a new one: "
        "DHCP reservations, licences and interface names may hang on it."
    ),
    source="OVF files that VMware exports leave generated addresses out",
    always_known=ABOUT_NOT_KNOWING,
    check=check,
)
