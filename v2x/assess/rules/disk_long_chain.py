# SPDX-License-Identifier: Apache-2.0
"""A long chain of layers."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity

_MANY = 10


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        if len(disk.files) > _MANY:
            yield Remark(f"{len(disk.files)} layers.", disk_name(disk))


RULE = MachineRule(
    id="disk.long-chain",
    severity=Severity.WARNING,
    label="A disk has many layers",
    remedy=(
        "Consolidate or merge the snapshots before the move: every layer slows the copy, and a damaged one ends it."
    ),
    source="vSphere supports 32 layers, XCP-ng 30; more than ten are a forgotten backup most of the time",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
