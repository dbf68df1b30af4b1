# SPDX-License-Identifier: Apache-2.0
"""A hypervisor as a guest."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.guest import is_hypervisor, shown_name
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import SYSTEM
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    guest = context.machine.guest
    if is_hypervisor(guest):
        yield Remark(f"This is {shown_name(guest)}.")
    elif not shown_name(guest):
        yield SYSTEM


RULE = MachineRule(
    id="guest.hypervisor",
    severity=Severity.WARNING,
    label="The guest is itself a hypervisor",
    remedy="Move what runs inside it instead, or install a host of its own.",
    source="XCP-ng documentation, compute: nested virtualisation is not supported",
    check=check,
)
