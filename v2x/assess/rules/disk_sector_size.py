# SPDX-License-Identifier: Apache-2.0
"""A disk with sectors of 4096 bytes."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity
from v2x.model.machine import DiskFormat


def check(context: Context) -> Iterator[Said]:
    for disk in context.machine.disks:
        sector = disk.logical_sector_bytes
        if sector is not None and sector != 512:
            yield Remark(f"Logical sectors of {sector} bytes; XCP-ng presents 512.", disk_name(disk))
        elif sector is None and disk.format in (DiskFormat.VHDX, DiskFormat.RAW):
            yield Unknown("The sector size of a VHDX or a raw device is not known.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="disk.sector-size",
    severity=Severity.BLOCKER,
    label="A disk has sectors of another size than XCP-ng gives",
    remedy=(
        "Copy the data inside the guest to a disk with 512-byte sectors before the move; partitions of the "
        "present one would not be found."
    ),
    source="XAPI presents virtual disks with 512-byte sectors",
    check=check,
)
