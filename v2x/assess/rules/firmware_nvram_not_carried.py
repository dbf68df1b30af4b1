# SPDX-License-Identifier: Apache-2.0
"""UEFI boot entries stay behind."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import FIRMWARE
from v2x.model.finding import Severity
from v2x.model.machine import Firmware


def check(context: Context) -> Iterator[Said]:
    if not context.machine.firmware_stated:
        yield FIRMWARE
    elif context.machine.firmware is Firmware.UEFI:
        yield Remark("The firmware starts with an empty variable store.")


RULE = MachineRule(
    id="firmware.nvram-not-carried",
    severity=Severity.INFO,
    label="UEFI boot entries are not carried over",
    remedy=(
        "If the machine does not find its boot loader, choose \\EFI\\…\\*.efi once in the firmware's boot "
        "manager; a loader at \\EFI\\BOOT\\BOOTX64.EFI is always found."
    ),
    source="XAPI: NVRAM holds varstored's own format, which no other hypervisor writes",
    check=check,
)
