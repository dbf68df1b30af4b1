# SPDX-License-Identifier: Apache-2.0
"""The machine belongs to a vApp."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.groups import partners
from v2x.assess.needs import GROUPS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.inventory import Together


def check(context: Context) -> Iterator[Remark]:
    for group in context.groups:
        if group.kind is Together.VAPP:
            yield Remark(f"With {partners(context, group)}.", group.name)


RULE = MachineRule(
    id="together.vapp",
    severity=Severity.INFO,
    label="The machine belongs to a vApp",
    remedy="Move its machines in one wave; the vApp with its start order is made on the pool once.",
    source="XAPI: VM_appliance",
    needs=(GROUPS,),
    check=check,
)
