# SPDX-License-Identifier: Apache-2.0
"""A Windows release too old for today's PV drivers."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.guest import lacks_windows_pv_drivers, shown_name
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import SYSTEM
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    guest = context.machine.guest
    if context.family == "windows" and lacks_windows_pv_drivers(guest):
        yield Remark(f"This is {shown_name(guest)}; the drivers need a 64-bit Windows 10 1607, Server 2016 or later.")
    elif not context.family:
        yield SYSTEM


RULE = MachineRule(
    id="guest.windows-without-pv-drivers",
    severity=Severity.WARNING,
    label="No current PV drivers exist for this Windows release",
    remedy=(
        "Move a copy first and test it: the machine stays on emulated disks and networks, and under UEFI it "
        "cannot be suspended or migrated live."
    ),
    source="XCP-ng documentation: Windows PV drivers need Windows 10 1607, Server 2016 or later",
    check=check,
)
