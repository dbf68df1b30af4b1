# SPDX-License-Identifier: Apache-2.0
"""Changed blocks are not tracked."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    if context.machine.change_tracking is False:
        yield Remark("A warm move would have to turn change tracking on first.")
    elif context.machine.change_tracking is None:
        yield Unknown("The source does not tell whether changes are tracked.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="machine.change-tracking-off",
    severity=Severity.INFO,
    label="Changes to disks are not tracked at present",
    remedy=(
        "Nothing for a move with the machine off. For a warm move v2x turns change tracking on where you let it, "
        "which takes a snapshot."
    ),
    source="vSphere API: changeTrackingEnabled; Hyper-V: resilient change tracking; Forklift: changed_block_tracking",
    sources=frozenset({"hyperv", "rvtools", "vsphere"}),
    check=check,
)
