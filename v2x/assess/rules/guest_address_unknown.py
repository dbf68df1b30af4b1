# SPDX-License-Identifier: Apache-2.0
"""Addresses that the source does not know."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import ABOUT_NOT_KNOWING
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.text import plural


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    if machine.nics and not (
        machine.guest.addresses or machine.guest.ip_addresses or any(nic.ip_addresses for nic in machine.nics)
    ):
        yield Remark(f"{plural(len(machine.nics), 'network card')}, and no address.")


RULE = MachineRule(
    id="guest.address-unknown",
    severity=Severity.WARNING,
    label="The addresses of the guest are not known",
    remedy=(
        "Start the machine once with its tools running and take the inventory again, or write its addresses down: "
        "they cannot be kept or compared otherwise."
    ),
    source="vSphere and Hyper-V learn them from tools in the guest; Forklift: ip_state",
    always_known=ABOUT_NOT_KNOWING,
    sources=frozenset({"hyperv", "rvtools", "vsphere"}),
    check=check,
)
