# SPDX-License-Identifier: Apache-2.0
"""A disk that needs QCOW2 on a pool that does not have it."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import POOL_STORAGE
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.target import ImageFormat
from v2x.model.units import show_bytes


def check(context: Context) -> Iterator[Remark]:
    low, high = context.limit("vhd_max_bytes"), context.limit("qcow2_max_bytes")
    facts, storage = context.facts, context.estate.pool.storage
    if facts is None or context.estate.offline or not storage:
        return
    holders = [sr for sr in storage if ImageFormat.QCOW2 in sr.image_formats]
    for disk in context.machine.disks:
        if low < disk.capacity_bytes <= high:
            size = show_bytes(disk.capacity_bytes)
            if not holders:
                yield Remark(f"{size}; no storage repository of the pool holds QCOW2 images.", disk_name(disk))
            elif not facts.qcow2_import:
                version = facts.xapi_version or "of the pool"
                yield Remark(f"{size}; xapi {version} does not import QCOW2 images.", disk_name(disk))


RULE = MachineRule(
    id="disk.pool-without-qcow2",
    severity=Severity.BLOCKER,
    label="The pool cannot hold a disk of this size",
    remedy=(
        "Update the pool and add a storage repository that holds QCOW2 images, or split the disk inside the guest."
    ),
    source="XCP-ng documentation, storage/qcow2_faq; xapi 25.27.0 is the first that imports QCOW2",
    needs=(POOL_STORAGE,),
    check=check,
)
