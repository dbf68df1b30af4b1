# SPDX-License-Identifier: Apache-2.0
"""A disk with sectors of 4096 bytes."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        sector = disk.logical_sector_bytes
        if sector is not None and sector != 512:
            yield Remark(f"Logical sectors of {sector} bytes; XCP-ng presents 512.", disk_name(disk))


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
