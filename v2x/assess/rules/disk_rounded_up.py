# SPDX-License-Identifier: Apache-2.0
"""A disk whose size is no multiple of the target's block."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import round_up


def check(context: Context) -> Iterator[Remark]:
    step = context.limit("vhd_step_bytes")
    for disk in context.machine.disks:
        size = disk.capacity_bytes
        if 0 < size <= context.limit("vhd_max_bytes") and size % step:
            yield Remark(f"{size:,} bytes become {round_up(size, step):,}.", disk_name(disk))


RULE = MachineRule(
    id="disk.rounded-up",
    severity=Severity.INFO,
    label="A disk grows a little on the target",
    remedy="Nothing has to be done: the added end reads as zeros.",
    source="xcp-ng/sm drivers/vhdutil.py rounds virtual sizes up to 2 MiB",
    always_known=LISTED,
    check=check,
)
