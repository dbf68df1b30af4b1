# SPDX-License-Identifier: Apache-2.0
"""A system that Xen has no drivers for."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.guest import shown_name, unsupported_system
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import SYSTEM
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    guest = context.machine.guest
    if unsupported_system(guest):
        yield Remark(f"This is {shown_name(guest)}.")
    elif not shown_name(guest):
        yield SYSTEM


RULE = MachineRule(
    id="guest.unsupported-system",
    severity=Severity.WARNING,
    label="Nobody tests this operating system on XCP-ng",
    remedy=(
        "Move a copy and test it on emulated devices (IDE disks, rtl8139); keep the source until it has run for a "
        "while."
    ),
    source="Xen has no drivers for it, and XCP-ng no template",
    check=check,
)
