# SPDX-License-Identifier: Apache-2.0
"""A copy that outlasts a task of XAPI."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name, needed_bytes
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(context: Context) -> Iterator[Remark]:
    limit = context.limit("task_seconds_max")
    for disk in context.machine.disks:
        if disk.capacity_bytes <= context.limit("vhd_max_bytes"):
            continue
        hours = needed_bytes(disk) / context.estate.pace.bytes_per_second / 3600
        if hours * 3600 > limit / 2:
            yield Remark(
                f"Some {hours:,.0f} hours, at {show_bytes(context.estate.pace.bytes_per_second)}/s.", disk_name(disk)
            )


RULE = MachineRule(
    id="disk.copy-over-task-limit",
    severity=Severity.WARNING,
    label="The copy of a disk may take longer than XAPI lets a task live",
    remedy="Raise pending_task_timeout on the pool, measure the real speed first (--measured), or split the disk.",
    source=(
        "XCP-ng documentation: pending_task_timeout, 24 hours; a QCOW2 image travels in one task, VHD streams are cut"
    ),
    always_known="the pace is measured, or an assumption that the report names",
    check=check,
)
