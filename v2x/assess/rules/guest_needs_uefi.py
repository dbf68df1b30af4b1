# SPDX-License-Identifier: Apache-2.0
"""A Windows release whose template rules BIOS out."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.guest import needs_uefi, shown_name
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import FIRMWARE
from v2x.model.finding import Severity
from v2x.model.machine import Firmware


def check(context: Context) -> Iterator[Said]:
    machine = context.machine
    if machine.firmware is Firmware.BIOS and machine.firmware_stated and needs_uefi(machine.guest):
        yield Remark(f"{shown_name(machine.guest)} boots by BIOS here.")
    elif not machine.firmware_stated and needs_uefi(machine.guest):
        yield FIRMWARE


RULE = MachineRule(
    id="guest.needs-uefi",
    severity=Severity.WARNING,
    label="This Windows release is not meant to run on BIOS firmware",
    remedy=(
        "Do not switch the firmware in the plan: an installed system would not start. Convert it with mbr2gpt "
        "at the source first, or test it as it is."
    ),
    source="XCP-ng guest templates: windows-11 and windows-server-2025 recommend supports-bios no",
    check=check,
)
