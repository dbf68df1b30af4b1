# SPDX-License-Identifier: Apache-2.0
"""A disk whose file is not there."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import DiskBacking


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        if disk.backing is DiskBacking.MISSING:
            name = disk.files[0] if disk.files else "The file it names"
            yield Remark(f"{name} is not there.", disk_name(disk))


RULE = MachineRule(
    id="disk.missing",
    severity=Severity.BLOCKER,
    label="A disk's file is missing",
    remedy=(
        "Put the file back beside the description under the name given, or detach the disk at the source and "
        "export again."
    ),
    source="The listing of the source",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
