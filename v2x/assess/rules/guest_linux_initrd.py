# SPDX-License-Identifier: Apache-2.0
"""A Linux guest whose initial ramdisk may lack the Xen disk driver."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.guest import builds_small_initrd, shown_name
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import SYSTEM
from v2x.model.finding import Severity
from v2x.model.machine import DiskBus

_BUSES = frozenset({DiskBus.NVME, DiskBus.VIRTIO})


def check(context: Context) -> Iterator[Said]:
    machine = context.machine
    if not context.family:
        yield SYSTEM
    if context.family != "linux" or not machine.disks:
        return
    boot = min(machine.disks, key=lambda disk: disk.position)
    if boot.bus is DiskBus.XEN:
        return
    model = boot.controller_model.lower()
    paravirtual = boot.bus in _BUSES or "pvscsi" in model or "virtualscsi" in model
    if paravirtual:
        yield Remark("It boots from a controller that XCP-ng does not have.", disk_name(boot))
    elif builds_small_initrd(machine.guest):
        told = shown_name(machine.guest)
        yield Remark(f"{told} keeps only the drivers of its present hardware in the initial ramdisk.", disk_name(boot))


RULE = MachineRule(
    id="guest.linux-initrd",
    severity=Severity.WARNING,
    label="The initial ramdisk may lack the Xen disk driver",
    remedy=(
        'Before the move run: dracut --force --add-drivers "xen-blkfront xen-netfront" (on Debian and Ubuntu: '
        "list both in /etc/initramfs-tools/modules and run update-initramfs -u -k all)."
    ),
    source="XCP-ng documentation, migrate to XCP-ng; seen as a dracut time-out that finds no root file system",
    check=check,
)
