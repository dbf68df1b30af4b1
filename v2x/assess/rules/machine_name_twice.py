# SPDX-License-Identifier: Apache-2.0
"""A name that two machines of the source have."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    count = context.estate.names.get(context.machine.name, 0)
    if count > 1:
        yield Remark(f"{count} machines are named “{context.machine.name}”; this one has the id {context.machine.id}.")


RULE = MachineRule(
    id="machine.name-twice",
    severity=Severity.WARNING,
    label="Several machines of the inventory have this name",
    remedy="Give each a target name of its own in the plan.",
    source="Names are not unique in vSphere folders, in Hyper-V, and in appliances",
    always_known=LISTED,
    check=check,
)
