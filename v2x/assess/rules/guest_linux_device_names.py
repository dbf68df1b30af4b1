# SPDX-License-Identifier: Apache-2.0
"""Disk names change under Linux."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import SYSTEM
from v2x.model.finding import Severity
from v2x.model.machine import DiskBus
from v2x.text import plural


def check(context: Context) -> Iterator[Said]:
    machine = context.machine
    disks = [disk for disk in machine.disks if disk.bus is not DiskBus.XEN]
    if context.family == "linux" and disks:
        yield Remark(f"{plural(len(disks), 'disk')} will be named /dev/xvda and onwards.")
    elif not context.family:
        yield SYSTEM


RULE = MachineRule(
    id="guest.linux-device-names",
    severity=Severity.INFO,
    label="Disk device names change",
    remedy=(
        "Check that /etc/fstab, /etc/crypttab and the boot loader name file systems by UUID or LABEL, not by "
        "/dev/sd… or /dev/disk/by-id or by-path."
    ),
    source="Linux xen-blkfront names disks /dev/xvda, /dev/xvdb…",
    check=check,
)
