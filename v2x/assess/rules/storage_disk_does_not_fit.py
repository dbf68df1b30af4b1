# SPDX-License-Identifier: Apache-2.0
"""A disk for which no storage repository has room."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name, needed_bytes
from v2x.assess.needs import POOL_STORAGE
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import Disk, DiskBacking
from v2x.model.target import StorageRepository
from v2x.model.units import show_bytes


def _takes(repository: StorageRepository, disk: Disk) -> bool:
    """True where `disk` has room: on thin storage its known data, on thick storage its whole size.

    A repository that does not tell its size is given the benefit of the doubt.
    """
    if repository.size_bytes <= 0:
        return True
    wanted = (disk.allocated_bytes or 0) if repository.thin else disk.capacity_bytes
    return wanted <= repository.free_bytes


def check(context: Context) -> Iterator[Remark]:
    storage = context.estate.pool.storage
    if not storage:
        return
    most = max(repository.free_bytes for repository in storage)
    for disk in context.machine.disks:
        if disk.backing is not DiskBacking.MISSING and not any(_takes(repository, disk) for repository in storage):
            data = needed_bytes(disk)
            yield Remark(
                f"{show_bytes(disk.capacity_bytes)} with {show_bytes(data)} of data; "
                f"{show_bytes(most)} is the most that one repository has free.",
                disk_name(disk),
            )


RULE = MachineRule(
    id="storage.disk-does-not-fit",
    severity=Severity.BLOCKER,
    label="No storage repository has room for a disk",
    remedy="Free or add space on the pool, then assess again.",
    source="XAPI: SR.physical_size and SR.physical_utilisation; thick repositories take the whole size at once",
    needs=(POOL_STORAGE,),
    check=check,
)
