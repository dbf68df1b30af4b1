# SPDX-License-Identifier: Apache-2.0
"""A disk on a controller that v2x does not know."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import ABOUT_NOT_KNOWING
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import DiskBus, Other


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        if isinstance(disk.bus, Other):
            yield Remark(f"The source calls the controller “{disk.bus.text}”.", disk_name(disk))
        elif disk.bus is DiskBus.UNKNOWN:
            yield Remark("The source does not say which controller it is on.", disk_name(disk))


RULE = MachineRule(
    id="disk.unknown-bus",
    severity=Severity.WARNING,
    label="A disk's controller is not known",
    remedy="Check the order of the disks in the plan, the boot disk first.",
    source="The source's own word for the controller",
    always_known=ABOUT_NOT_KNOWING,
    check=check,
)
