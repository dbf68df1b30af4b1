# SPDX-License-Identifier: Apache-2.0
"""A disk in the least documented of VMware's formats."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        if disk.subformat.lower() == "sesparse":
            yield Remark("Its newest changes are in a seSparse file.", disk_name(disk))


RULE = MachineRule(
    id="disk.sesparse-experimental",
    severity=Severity.WARNING,
    label="A disk's snapshot format (seSparse) is read experimentally",
    remedy=(
        "Remove the snapshots at the source before the move; or move with --verify full and check the machine well."
    ),
    source="No public specification of seSparse exists",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
