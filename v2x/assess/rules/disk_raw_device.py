# SPDX-License-Identifier: Apache-2.0
"""A disk that is a whole device or LUN."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import DiskBacking
from v2x.model.units import show_bytes


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        if disk.backing is DiskBacking.RAW_DEVICE:
            yield Remark(f"{show_bytes(disk.capacity_bytes)} on a device of the source's host.", disk_name(disk))


RULE = MachineRule(
    id="disk.raw-device",
    severity=Severity.BLOCKER,
    label="A disk is a raw device, not a file",
    remedy=(
        "Turn it into a virtual disk at the source, or attach the LUN inside the guest (iSCSI) and leave the disk out."
    ),
    source=("VMware raw device mappings and Hyper-V pass-through disks name a device that no copy of the files holds"),
    always_known=LISTED,
    check=check,
)
