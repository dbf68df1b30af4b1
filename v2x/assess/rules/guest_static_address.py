# SPDX-License-Identifier: Apache-2.0
"""Addresses that were set by hand."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import ASK_THE_GUEST
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    addresses = context.machine.guest.addresses
    static = [one for one in addresses if one.dhcp is False and one.addresses]
    for one in static:
        yield Remark(f"{', '.join(one.addresses)}.", one.interface or one.mac)
    if context.machine.nics and not static and (not addresses or any(one.dhcp is None for one in addresses)):
        yield Unknown("Whether addresses come from DHCP is not known.", ASK_THE_GUEST)


RULE = MachineRule(
    id="guest.static-address",
    severity=Severity.WARNING,
    label="The guest has addresses that were set by hand",
    remedy=(
        "Keep MAC addresses; on Linux bind the settings to the MAC address, on Windows write them down: the new "
        "card starts empty, and the old one hides with its address."
    ),
    source=(
        "Windows binds addresses to the adapter's hardware path, Linux to interface names; Forklift preserves them "
        "by script"
    ),
    check=check,
)
