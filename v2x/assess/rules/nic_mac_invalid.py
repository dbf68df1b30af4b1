# SPDX-License-Identifier: Apache-2.0
"""A MAC address that no card can have."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.mapping.mac import mac_problem
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        problem = mac_problem(nic.mac) if nic.mac else ""
        if problem:
            yield Remark(f"“{nic.mac}” {problem}; a new address is made.", nic_name(nic))


RULE = MachineRule(
    id="nic.mac-invalid",
    severity=Severity.WARNING,
    label="A network card's MAC address cannot be kept",
    remedy="Check what depends on the address: DHCP reservations, licences and interface names may hang on it.",
    source="XAPI: MAC_INVALID; it checks neither for zeros nor for the multicast bit (IEEE 802), switches do",
    always_known=LISTED,
    check=check,
)
