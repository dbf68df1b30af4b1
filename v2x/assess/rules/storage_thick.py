# SPDX-License-Identifier: Apache-2.0
"""Storage that takes the whole size."""

from collections.abc import Iterator

from v2x.assess.context import Estate, needed_bytes
from v2x.assess.needs import POOL_STORAGE
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(estate: Estate) -> Iterator[Remark]:
    storage = estate.pool.storage
    if storage and not any(one.thin for one in storage):
        disks = [disk for machine in estate.inventory.machines for disk in machine.disks]
        whole, data = sum(max(0, disk.capacity_bytes) for disk in disks), sum(map(needed_bytes, disks))
        yield Remark(f"{show_bytes(whole)} are taken for {show_bytes(data)} of data.")


RULE = EstateRule(
    id="storage.thick",
    severity=Severity.WARNING,
    label="The pool has thick storage only",
    remedy="Count with the whole size of every disk, or add thin storage (ext, NFS, SMB).",
    source="XAPI: LVM repositories allocate the virtual size at once",
    needs=(POOL_STORAGE,),
    check=check,
)
