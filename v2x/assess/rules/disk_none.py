# SPDX-License-Identifier: Apache-2.0
"""A machine without a disk."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    if not context.machine.disks:
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
