# SPDX-License-Identifier: Apache-2.0
"""Windows starts on emulated devices."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.guest import lacks_windows_pv_drivers, shown_name
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import SYSTEM
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    guest = context.machine.guest
    if context.family == "windows" and not lacks_windows_pv_drivers(guest):
        yield Remark(f"{shown_name(guest) or 'Windows'} has no Xen drivers of its own.")
    elif not context.family:
        yield SYSTEM


RULE = MachineRule(
    id="guest.windows-pv-drivers",
    severity=Severity.INFO,
    label="Windows runs on emulated devices until PV drivers are installed",
    remedy=(
        "After the first start, install the XCP-ng Windows PV drivers and reboot; until then disks and "
        "networks are slow."
    ),
    source="XCP-ng documentation, guest tools for Windows (docs/vms)",
    check=check,
)
