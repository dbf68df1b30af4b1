# SPDX-License-Identifier: Apache-2.0
"""An appliance that another product than VMware wrote."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    exporter = context.machine.exporter
    if exporter and "vmware" not in exporter.lower():
        yield Remark(f"Written by {exporter}.")


RULE = MachineRule(
    id="machine.exporter",
    severity=Severity.INFO,
    label="The appliance was not written by VMware",
    remedy="Compare processors, memory, disks and networks in this report with the machine you know.",
    source="OVF dialects differ in how they name devices",
    always_known=LISTED,
    check=check,
)
