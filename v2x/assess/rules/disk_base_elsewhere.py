# SPDX-License-Identifier: Apache-2.0
"""A disk that stands on a base without a snapshot."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    if context.machine.snapshots:
        return
    for disk in context.machine.disks:
        if len(disk.files) > 1:
            yield Remark(f"{len(disk.files)} files, the base is {disk.files[-1]}.", disk_name(disk))


RULE = MachineRule(
    id="disk.base-elsewhere",
    severity=Severity.WARNING,
    label="A disk is the child of another, without a snapshot of the machine",
    remedy=(
        "Nothing for the copy, which reads the whole chain; but keep the base where it is until the move is done: "
        "other machines may share it."
    ),
    source="vSphere linked clones and Hyper-V differencing disks; Forklift has no rule for it",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
