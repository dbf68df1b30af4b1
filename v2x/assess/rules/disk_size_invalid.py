# SPDX-License-Identifier: Apache-2.0
"""A disk without a size."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import ABOUT_NOT_KNOWING
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import DiskBacking


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        if disk.capacity_bytes <= 0 and disk.backing is not DiskBacking.MISSING:
            yield Remark(f"The source says {disk.capacity_bytes} bytes.", disk_name(disk))


RULE = MachineRule(
    id="disk.size-invalid",
    severity=Severity.BLOCKER,
    label="A disk's size is not valid",
    remedy=(
        "Repair the description at the source; a size that was not read can also mean that the disk file is damaged."
    ),
    source="A virtual disk of XAPI is at least 2 MiB (VHD) or 64 KiB (QCOW2)",
    always_known=ABOUT_NOT_KNOWING,
    check=check,
)
