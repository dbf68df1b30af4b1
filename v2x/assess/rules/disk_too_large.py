# SPDX-License-Identifier: Apache-2.0
"""A disk larger than any image on XCP-ng can be."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import GIB


def check(context: Context) -> Iterator[Remark]:
    limit = context.limit("qcow2_max_bytes")
    for disk in context.machine.disks:
        if disk.capacity_bytes > limit:
            yield Remark(
                f"{-(-disk.capacity_bytes // GIB):,} GiB; at most {limit // GIB:,} GiB are possible.", disk_name(disk)
            )


RULE = MachineRule(
    id="disk.too-large",
    severity=Severity.BLOCKER,
    label="A disk is too large for XCP-ng",
    remedy="Split the data over smaller disks inside the guest before the move.",
    source="XCP-ng documentation, storage/qcow2_faq: 16,381 GiB",
    always_known=LISTED,
    check=check,
)
