# SPDX-License-Identifier: Apache-2.0
"""A boot loader that only the old NVRAM knows."""

import re
from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.guest import shown_name
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import SYSTEM
from v2x.model.finding import Severity
from v2x.model.machine import Firmware


def check(context: Context) -> Iterator[Said]:
    machine = context.machine
    if machine.firmware is not Firmware.UEFI:
        return
    if re.search(r"debian", shown_name(machine.guest), re.IGNORECASE):
        yield Remark("Debian installs none at the place that is always found.")
    elif not context.family:
        yield SYSTEM


RULE = MachineRule(
    id="firmware.no-fallback-loader",
    severity=Severity.WARNING,
    label="The boot loader may be known to the old firmware only",
    remedy=(
        "Before the move copy the loader to \\EFI\\BOOT\\BOOTX64.EFI (grub-install --removable on Linux), or "
        "choose it once in the boot manager after the move."
    ),
    source=("UEFI starts \\EFI\\BOOT\\BOOTX64.EFI without an entry; Debian and others install no such file by default"),
    check=check,
)
