# SPDX-License-Identifier: Apache-2.0
"""A machine without a disk."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    machine = context.machine
    if not machine.disks and machine.attributes.get("rvtools.total_disk_capacity_mib", "0") not in ("", "0"):
        yield Unknown(
            "The export has a machine with disks, but not which.",
            "Export all sheets, vDisk among them, or assess vCenter itself.",
            decides=True,
        )
    elif not machine.disks:
        yield Remark("The source lists no disk.")


RULE = MachineRule(
    id="disk.none",
    severity=Severity.WARNING,
    label="The source lists no disk of the machine",
    remedy=(
        "Check at the source that no disk is missing from the export; a machine without disks can be moved, "
        "but only boots from elsewhere."
    ),
    source="The listing of the source",
    check=check,
)
