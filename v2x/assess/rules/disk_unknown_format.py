# SPDX-License-Identifier: Apache-2.0
"""A disk in a format that v2x cannot read."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import ABOUT_NOT_KNOWING
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import Other


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        if isinstance(disk.format, Other):
            yield Remark(f"The source calls the format “{disk.format.text}”.", disk_name(disk))


RULE = MachineRule(
    id="disk.unknown-format",
    severity=Severity.BLOCKER,
    label="A disk's format is not supported",
    remedy="Convert the disk at the source to VMDK, VHD, VHDX, QCOW2 or raw, then assess again.",
    source="The formats that v2x reads",
    always_known=ABOUT_NOT_KNOWING,
    check=check,
)
