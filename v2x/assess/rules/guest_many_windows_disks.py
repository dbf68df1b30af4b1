# SPDX-License-Identifier: Apache-2.0
"""SAN policy of Windows Server."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.guest import is_windows_server, shown_name
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import SYSTEM
from v2x.model.finding import Severity
from v2x.text import plural


def check(context: Context) -> Iterator[Said]:
    machine = context.machine
    if is_windows_server(machine.guest) and len(machine.disks) > 1:
        yield Remark(f"{plural(len(machine.disks) - 1, 'disk')} beside the first.")
    elif not shown_name(machine.guest) and len(machine.disks) > 1:
        yield SYSTEM


RULE = MachineRule(
    id="guest.many-windows-disks",
    severity=Severity.INFO,
    label="Windows Server may leave added disks offline",
    remedy=(
        "After the first start set disks online in Disk Management (or diskpart: san policy=OnlineAll) where they "
        "are not."
    ),
    source=(
        "Microsoft: the SAN policy of Windows Server is Offline Shared; disks behind a new controller count as new"
    ),
    check=check,
)
