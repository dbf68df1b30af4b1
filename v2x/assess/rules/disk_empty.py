# SPDX-License-Identifier: Apache-2.0
"""A disk that has no content in the appliance."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import DiskBacking
from v2x.model.units import show_bytes


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        if disk.backing is DiskBacking.EMPTY:
            yield Remark(f"{show_bytes(disk.capacity_bytes)}, blank.", disk_name(disk))


RULE = MachineRule(
    id="disk.empty",
    severity=Severity.INFO,
    label="A disk has no content yet",
    remedy="Nothing has to be done: a blank disk of that size is made.",
    source="The DSP0243 (OVF) standard: a Disk element without a file reference is a blank disk",
    always_known=LISTED,
    check=check,
)
