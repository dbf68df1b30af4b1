# SPDX-License-Identifier: Apache-2.0
"""Drive letters."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import ABOUT_NOT_KNOWING
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.text import plural


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    if context.family == "windows" and len(machine.disks) > 1 and not any(one.disks for one in machine.guest.volumes):
        yield Remark(f"{plural(len(machine.disks), 'disk')}, and no word of their letters.")


RULE = MachineRule(
    id="guest.drive-letters",
    severity=Severity.INFO,
    label="Which drive letters are on which disk is not known",
    remedy=(
        "Write the letters down (Get-Volume) before the move: Windows may give them anew when disks change their bus."
    ),
    source="Forklift: guest_disk_mapping",
    always_known=ABOUT_NOT_KNOWING,
    check=check,
)
