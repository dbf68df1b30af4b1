# SPDX-License-Identifier: Apache-2.0
"""A read-only disk."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        if disk.read_only:
            yield Remark("The guest cannot write to it now.", disk_name(disk))


RULE = MachineRule(
    id="disk.read-only",
    severity=Severity.WARNING,
    label="A disk that is read-only at the source can be written to on the pool",
    remedy="Set its VBD to read-only before the first start, if the guest must not write to it.",
    source="XAPI: VBD.mode; v2x makes disks writable",
    always_known=LISTED,
    check=check,
)
