# SPDX-License-Identifier: Apache-2.0
"""A machine whose disks do not fit one repository."""

from collections.abc import Iterator

from v2x.assess.context import Context, needed_bytes
from v2x.assess.needs import POOL_STORAGE
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(context: Context) -> Iterator[Remark]:
    storage = context.estate.pool.storage
    if not storage or any(one.size_bytes <= 0 for one in storage):
        return
    whole = sum(max(0, disk.capacity_bytes) for disk in context.machine.disks)
    data = sum(map(needed_bytes, context.machine.disks))
    most = max(one.free_bytes for one in storage)
    if len(context.machine.disks) > 1 and not any((data if one.thin else whole) <= one.free_bytes for one in storage):
        yield Remark(
            f"{show_bytes(data)} of data in {show_bytes(whole)}; {show_bytes(most)} is the most that one has free."
        )


RULE = MachineRule(
    id="storage.machine-on-several",
    severity=Severity.WARNING,
    label="The disks of a machine do not fit on one storage repository",
    remedy=(
        "Spread them in the plan (storage column), or make room: snapshots and live migration are easier on one "
        "repository."
    ),
    source="XAPI: SR.physical_size and SR.physical_utilisation",
    needs=(POOL_STORAGE,),
    check=check,
)
