# SPDX-License-Identifier: Apache-2.0
"""A disk in independent mode."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity
from v2x.model.machine import DiskMode, Other


def check(context: Context) -> Iterator[Said]:
    for disk in context.machine.disks:
        if disk.mode is DiskMode.INDEPENDENT_PERSISTENT:
            yield Remark("No snapshot covers it, so it can be read at rest only.", disk_name(disk))
        elif disk.mode is DiskMode.INDEPENDENT_NONPERSISTENT:
            yield Remark("Its changes are dropped at each power-off; on XCP-ng they will be kept.", disk_name(disk))
        elif isinstance(disk.mode, Other):
            yield Unknown("The source does not tell the mode of a disk.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="disk.independent",
    severity=Severity.WARNING,
    label="A disk is in independent mode",
    remedy="Shut the machine down before the move, so that what the disk holds is final.",
    source=("VMware: independent disks are left out of snapshots; non-persistent ones drop their changes at power-off"),
    check=check,
)
