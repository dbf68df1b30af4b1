# SPDX-License-Identifier: Apache-2.0
"""Disks that wait to be consolidated."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    if context.machine.consolidation_needed:
        yield Remark("The source says that deleted snapshots left files behind.")
    elif context.machine.consolidation_needed is None:
        yield Unknown("The source does not tell whether disks need consolidation.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="machine.consolidation-needed",
    severity=Severity.WARNING,
    label="Disks of the machine need consolidation",
    remedy="Consolidate the disks at the source before the move (Snapshots, Consolidate); a warm move needs it.",
    source="vSphere API: VirtualMachineRuntimeInfo.consolidationNeeded; Forklift: consolidation_needed",
    sources=frozenset({"rvtools", "vsphere"}),
    check=check,
)
