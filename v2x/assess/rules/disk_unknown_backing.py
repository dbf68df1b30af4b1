# SPDX-License-Identifier: Apache-2.0
"""A disk held by something v2x does not know."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import ABOUT_NOT_KNOWING
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import Other


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        if isinstance(disk.backing, Other):
            yield Remark(f"The source calls it “{disk.backing.text}”.", disk_name(disk))


RULE = MachineRule(
    id="disk.unknown-backing",
    severity=Severity.BLOCKER,
    label="A disk is held by something that cannot be read",
    remedy="Turn it into an ordinary virtual disk at the source, then assess again.",
    source="The source's own word for what holds the disk",
    always_known=ABOUT_NOT_KNOWING,
    check=check,
)
