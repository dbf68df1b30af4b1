# SPDX-License-Identifier: Apache-2.0
"""The source keeps the machine together with others."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.groups import partners
from v2x.assess.needs import GROUPS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.inventory import Together


def check(context: Context) -> Iterator[Remark]:
    for group in context.groups:
        if group.kind is Together.AFFINITY:
            yield Remark(f"With {partners(context, group)}.", group.name)


RULE = MachineRule(
    id="together.affinity",
    severity=Severity.INFO,
    label="The source keeps the machine together with others",
    remedy="Move them in one wave, and give them the same preferred host in the plan.",
    source="vSphere DRS rules; XAPI: VM.affinity",
    needs=(GROUPS,),
    check=check,
)
