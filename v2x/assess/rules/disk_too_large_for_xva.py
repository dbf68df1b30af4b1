# SPDX-License-Identifier: Apache-2.0
"""A disk larger than an XVA file can carry."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import GIB


def check(context: Context) -> Iterator[Remark]:
    limit = context.limit("vhd_max_bytes")
    for disk in context.machine.disks:
        if context.estate.offline and disk.capacity_bytes > limit:
            yield Remark(
                f"{-(-disk.capacity_bytes // GIB):,} GiB; an XVA carries {limit // GIB:,} GiB at most.", disk_name(disk)
            )


RULE = MachineRule(
    id="disk.too-large-for-xva",
    severity=Severity.BLOCKER,
    label="A disk is too large for an XVA file",
    remedy="Migrate straight to a pool that holds QCOW2 images, or split the disk inside the guest.",
    source="A disk in an XVA becomes a VHD on import: 2040 GiB",
    always_known="a target is a pool or a folder of XVA files, and says which",
    check=check,
)
