# SPDX-License-Identifier: Apache-2.0
"""Thick storage that is too small."""

from collections.abc import Iterator

from v2x.assess.context import Estate, free_bytes
from v2x.assess.needs import POOL_STORAGE
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(estate: Estate) -> Iterator[Remark]:
    storage = estate.pool.storage
    free = free_bytes(storage)
    if free is None or any(one.thin for one in storage):
        return
    whole = sum(max(0, disk.capacity_bytes) for machine in estate.inventory.machines for disk in machine.disks)
    if whole > free:
        yield Remark(f"Disks of {show_bytes(whole)} in all, {show_bytes(free)} free.")


RULE = EstateRule(
    id="storage.no-room-thick",
    severity=Severity.BLOCKER,
    label="The pool has less room than the whole size of all disks, and thick storage only",
    remedy="Add thin storage or more room, or move fewer machines.",
    source="XAPI: LVM repositories allocate the virtual size at once",
    needs=(POOL_STORAGE,),
    check=check,
)
