# SPDX-License-Identifier: Apache-2.0
"""Snapshots that keep change tracking from being turned on."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity
from v2x.text import plural


def check(context: Context) -> Iterator[Said]:
    machine = context.machine
    if machine.snapshots and machine.change_tracking is False:
        yield Remark(f"{plural(len(machine.snapshots), 'snapshot')}, and changes are not tracked.")
    elif machine.snapshots and machine.change_tracking is None:
        yield Unknown("The source does not tell whether changes are tracked.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="machine.snapshots-before-tracking",
    severity=Severity.WARNING,
    label="Snapshots keep change tracking from being turned on",
    remedy="Remove the snapshots before a warm move; a move with the machine off does not mind.",
    source="vSphere: change tracking cannot be enabled while snapshots exist; Forklift: warm with existing snapshot",
    sources=frozenset({"rvtools", "vsphere"}),
    check=check,
)
