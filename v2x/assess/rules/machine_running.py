# SPDX-License-Identifier: Apache-2.0
"""A running machine whose files are read."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import POWER
from v2x.model.finding import Severity
from v2x.model.machine import PowerState


def check(context: Context) -> Iterator[Said]:
    if context.estate.from_files and context.machine.power_state is PowerState.ON:
        yield Remark("Its disks cannot be read at rest.")
    elif context.estate.kind == "vmx" and context.machine.power_state is PowerState.UNKNOWN:
        yield POWER


RULE = MachineRule(
    id="machine.running",
    severity=Severity.BLOCKER,
    label="The machine is running, and its files are being written",
    remedy=(
        "Shut it down in the guest and assess again; if it is not running, remove the lock files that a crash "
        "left beside it."
    ),
    source="A disk copied while it is written is not a disk of any one moment",
    check=check,
)
