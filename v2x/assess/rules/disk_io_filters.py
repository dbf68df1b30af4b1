# SPDX-License-Identifier: Apache-2.0
"""Filters in the path of a disk."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        if disk.io_filters:
            yield Remark(f"{', '.join(disk.io_filters)}.", disk_name(disk))


RULE = MachineRule(
    id="disk.io-filters",
    severity=Severity.WARNING,
    label="A filter stands between the disk and its storage",
    remedy=(
        "Detach the storage policy with the filter (caching, replication, encryption) before the move, and let it "
        "flush."
    ),
    source="vSphere: VirtualDisk.iofilter; what a filter holds back is not in the disk yet",
    needs=(MORE_THAN_RVTOOLS,),
    sources=frozenset({"rvtools", "vsphere"}),
    check=check,
)
