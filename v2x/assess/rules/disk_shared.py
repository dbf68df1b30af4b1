# SPDX-License-Identifier: Apache-2.0
"""A disk that several machines write to."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        if disk.shared:
            yield Remark("Several machines may write to it at the source.", disk_name(disk))


RULE = MachineRule(
    id="disk.shared",
    severity=Severity.BLOCKER,
    label="A disk is shared between machines",
    remedy="Attach the shared disk inside the guests (iSCSI), or give it to one machine only, before the move.",
    source="XAPI: a VHD or QCOW2 image has one writer; a second one is refused with VDI_IN_USE",
    always_known=LISTED,
    check=check,
)
