# SPDX-License-Identifier: Apache-2.0
"""A boot disk that Hyper-V firmware would not start from."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import DiskBus


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    if machine.generation != 1 or not machine.disks:
        return
    first = min(machine.disks, key=lambda disk: disk.position)
    if first.bus is not DiskBus.IDE:
        yield Remark(f"{disk_name(first)} comes first.")


RULE = MachineRule(
    id="disk.generation-one-boot",
    severity=Severity.WARNING,
    label="The first disk is not the one that the machine boots from",
    remedy=(
        "Check the order of the disks at the source: a generation 1 machine boots from IDE, and v2x makes the "
        "first disk the boot disk."
    ),
    source="Hyper-V: generation 1 boots from IDE, its SCSI disks are seen by the running system only",
    always_known=LISTED,
    sources=frozenset({"hyperv"}),
    check=check,
)
