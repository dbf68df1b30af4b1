# SPDX-License-Identifier: Apache-2.0
"""A suspended machine."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import POWER
from v2x.model.finding import Severity
from v2x.model.machine import PowerState


def check(context: Context) -> Iterator[Said]:
    if context.machine.power_state is PowerState.SUSPENDED:
        yield Remark("Part of what its disks should hold is in the saved memory, which cannot be moved.")
    elif (
        context.estate.is_live
        and context.machine.power_state is PowerState.UNKNOWN
        and not context.machine.power_state_text
    ):
        yield POWER


RULE = MachineRule(
    id="machine.suspended",
    severity=Severity.BLOCKER,
    label="The machine is suspended",
    remedy="Resume it and shut it down in the guest, then take the inventory again.",
    source="The saved memory of another hypervisor cannot be resumed on XCP-ng",
    check=check,
)
