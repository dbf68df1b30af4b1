# SPDX-License-Identifier: Apache-2.0
"""Less room on the pool than all machines need."""

from collections.abc import Iterator

from v2x.assess.context import Estate, free_bytes, needed_bytes
from v2x.assess.needs import POOL_STORAGE
from v2x.assess.rule import EstateRule, Remark, Said, Unknown
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(estate: Estate) -> Iterator[Said]:
    free = free_bytes(estate.pool.storage)
    if free is None:
        return
    needed = sum(needed_bytes(disk) for machine in estate.inventory.machines for disk in machine.disks)
    told = all(disk.allocated_bytes is not None for machine in estate.inventory.machines for disk in machine.disks)
    if not told:
        yield Unknown(
            "The source does not tell how much data some disks hold.",
            "Assess the live source, or give the pool room for their whole size.",
        )
    elif needed > free:
        yield Remark(
            f"{show_bytes(needed)} of data to move, {show_bytes(free)} free on all storage repositories together."
        )


RULE = EstateRule(
    id="storage.no-room",
    severity=Severity.BLOCKER,
    label="The pool has less room than the machines need",
    remedy="Free or add space on the pool, or move fewer machines.",
    source="XAPI: SR.physical_size and SR.physical_utilisation",
    needs=(POOL_STORAGE,),
    check=check,
)
