# SPDX-License-Identifier: Apache-2.0
"""A disk of another machine."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        if disk.lent_by:
            owner = context.estate.machine_names.get(disk.lent_by, disk.lent_by)
            yield Remark(f"It belongs to “{owner}”.", disk_name(disk))


RULE = MachineRule(
    id="backup.borrowed-disk",
    severity=Severity.WARNING,
    label="A disk of another machine is attached at present",
    remedy="Let the backup end, or detach the disk; it goes with its own machine and never with this one.",
    source="Backup proxies attach disks of the machines that they back up (HotAdd)",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
