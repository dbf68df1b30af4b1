# SPDX-License-Identifier: Apache-2.0
"""Disks that cannot be copied, refused before anything is written."""

from v2x.errors import InputRefused
from v2x.model.machine import DiskBacking, Machine


def refuse_unreadable(machine: Machine) -> None:
    """InputRefused for a disk without a file, or one that is encrypted; those that were lent to it do not count."""
    for disk in (one for one in machine.disks if not one.lent_by):
        if disk.backing is DiskBacking.MISSING:
            raise InputRefused(
                f"{disk.label} of {machine.name} is missing: {', '.join(disk.files) or disk.id}",
                code="MISSING-DISK",
                hint="copy the disk's file beside the descriptor, or export the machine again",
            )
        if disk.encrypted:
            raise InputRefused(
                f"{disk.label} of {machine.name} is encrypted", code="ENCRYPTED", hint="decrypt the machine first"
            )
        if not isinstance(disk.backing, DiskBacking) or disk.backing is DiskBacking.RAW_DEVICE:
            raise InputRefused(
                f"{disk.label} of {machine.name} lies on a device, not in a file",
                code="RAW-DEVICE",
                hint="copy the device into a virtual disk at the source first",
            )
