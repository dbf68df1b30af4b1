# SPDX-License-Identifier: Apache-2.0
"""Disks that could outgrow the room on the pool."""

from collections.abc import Iterator

from v2x.assess.context import Estate, free_bytes, needed_bytes
from v2x.assess.needs import POOL_STORAGE
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(estate: Estate) -> Iterator[Remark]:
    free = free_bytes(estate.pool.storage)
    if free is None:
        return
    disks = [disk for machine in estate.inventory.machines for disk in machine.disks]
    whole = sum(max(0, disk.capacity_bytes) for disk in disks)
    told = all(disk.allocated_bytes is not None for disk in disks)
    needed = sum(needed_bytes(disk) for disk in disks)
    if whole > free and not (told and needed > free):
        yield Remark(
            f"Disks of {show_bytes(whole)} in all, {show_bytes(free)} free on all storage repositories together."
        )


RULE = EstateRule(
    id="storage.overcommitted",
    severity=Severity.WARNING,
    label="The disks could outgrow the room on the pool",
    remedy="Watch the free space on the pool, or add some: thin disks fill up as their guests write.",
    source="XAPI: SR.physical_size and SR.physical_utilisation",
    needs=(POOL_STORAGE,),
    check=check,
)
