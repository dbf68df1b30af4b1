# SPDX-License-Identifier: Apache-2.0
"""A disk that a pool could hold, but that cannot be sent to it."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import GIB


def check(context: Context) -> Iterator[Remark]:
    low, high = context.limit("qcow2_stream_max_bytes"), context.limit("qcow2_max_bytes")
    for disk in context.machine.disks:
        if low < disk.capacity_bytes <= high:
            size = f"{-(-disk.capacity_bytes // GIB):,} GiB"
            yield Remark(f"{size}; a QCOW2 image of at most {low // GIB:,} GiB can be sent.", disk_name(disk))


RULE = MachineRule(
    id="disk.too-large-to-send",
    severity=Severity.BLOCKER,
    label="A disk is too large to be sent to a pool",
    remedy="Split the data over smaller disks inside the guest before the move.",
    source="ocaml-qcow before 0.14.0, as pools have it, mishandles larger QCOW2 streams",
    always_known=LISTED,
    check=check,
)
