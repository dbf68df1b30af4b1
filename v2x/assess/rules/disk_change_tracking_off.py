# SPDX-License-Identifier: Apache-2.0
"""A disk whose changes are not tracked."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    if not context.machine.change_tracking:
        return
    for disk in context.machine.disks:
        if disk.change_tracking is False:
            yield Remark("The machine tracks changes, this disk does not.", disk_name(disk))
        elif disk.change_tracking is None:
            yield Unknown("The source does not tell which disks track changes.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="disk.change-tracking-off",
    severity=Severity.WARNING,
    label="Changes to one of the disks are not tracked",
    remedy=(
        "Turn change tracking off and on again before a warm move: a disk that was added later is left out otherwise."
    ),
    source="vSphere: scsi0:0.ctkEnabled of each disk; Forklift: changed_block_tracking_per_disk",
    sources=frozenset({"hyperv", "rvtools", "vsphere"}),
    check=check,
)
