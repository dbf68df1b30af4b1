# SPDX-License-Identifier: Apache-2.0
"""A system without support."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.guest import out_of_support, shown_name
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import SYSTEM
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    guest = context.machine.guest
    if out_of_support(guest):
        yield Remark(f"This is {shown_name(guest)}.")
    elif not shown_name(guest):
        yield SYSTEM


RULE = MachineRule(
    id="guest.out-of-support",
    severity=Severity.WARNING,
    label="The vendor no longer supports this operating system",
    remedy="Move it as it is, test a copy first, and plan its replacement; take it off open networks.",
    source="Life cycle pages of the vendors, as of 2026; Forklift: vm_os",
    check=check,
)
