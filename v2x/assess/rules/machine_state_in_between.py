# SPDX-License-Identifier: Apache-2.0
"""A state that is neither on nor off."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    if machine.power_state_text:
        yield Remark(f"The source calls its state “{machine.power_state_text}”.")


RULE = MachineRule(
    id="machine.state-in-between",
    severity=Severity.BLOCKER,
    label="The machine is in a state between running and off",
    remedy="Wait for the operation to end, or resume the machine and shut it down in the guest, then assess again.",
    source=(
        "Hyper-V: Paused, Saving, Starting, *Critical and the like; a copy needs the machine off, or running with "
        "a checkpoint"
    ),
    always_known="a machine of whose state the source says nothing is machine.suspended",
    sources=frozenset({"hyperv", "rvtools", "vsphere"}),
    check=check,
)
