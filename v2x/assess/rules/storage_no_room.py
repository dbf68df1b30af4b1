# SPDX-License-Identifier: Apache-2.0
"""Less room on the pool than all machines need."""

from collections.abc import Iterator

from v2x.assess.context import Estate, free_bytes, needed_bytes
from v2x.assess.rule import EstateRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(estate: Estate) -> Iterator[Remark]:
    free = free_bytes(estate.pool.storage)
    if free is None:
        return
    needed = sum(needed_bytes(disk) for machine in estate.inventory.machines for disk in machine.disks)
    told = all(disk.allocated_bytes is not None for machine in estate.inventory.machines for disk in machine.disks)
    if told and needed > free:
        yield Remark(
            f"{show_bytes(needed)} of data to move, {show_bytes(free)} free on all storage repositories together."
        )


RULE = EstateRule(
    id="storage.no-room",
    severity=Severity.BLOCKER,
    label="The pool has less room than the machines need",
    remedy="Free or add space on the pool, or move fewer machines.",
    source="XAPI: SR.physical_size and SR.physical_utilisation",
    check=check,
)
