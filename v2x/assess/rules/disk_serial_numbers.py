# SPDX-License-Identifier: Apache-2.0
"""Disks that guests know by serial number."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity
from v2x.model.machine import DiskBus


def check(context: Context) -> Iterator[Said]:
    enabled = context.machine.disk_uuid_enabled
    if enabled and any(disk.bus is DiskBus.SCSI for disk in context.machine.disks):
        yield Remark("disk.EnableUUID is on.")
    elif enabled is None:
        yield Unknown("The source does not tell disk.EnableUUID.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="disk.serial-numbers",
    severity=Severity.WARNING,
    label="The guest sees serial numbers of disks, which change",
    remedy=(
        "Look for /dev/disk/by-id, multipath or ASM names in the guest, and change them to UUIDs or labels before "
        "the move."
    ),
    source="vSphere: disk.EnableUUID; Xen disks have other serial numbers; Forklift: disk_serial_numbers",
    sources=frozenset({"rvtools", "vsphere"}),
    check=check,
)
