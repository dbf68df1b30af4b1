# SPDX-License-Identifier: Apache-2.0
"""macOS."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.guest import is_macos, shown_name
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import SYSTEM
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    guest = context.machine.guest
    if is_macos(guest):
        yield Remark(f"This is {shown_name(guest)}.")
    elif not shown_name(guest):
        yield SYSTEM


RULE = MachineRule(
    id="guest.macos",
    severity=Severity.BLOCKER,
    label="Apple macOS does not run on XCP-ng",
    remedy="Leave the machine out: macOS needs hardware of its vendor, by its licence and by its drivers.",
    source="Apple's licence; Xen emulates no such hardware",
    check=check,
)
