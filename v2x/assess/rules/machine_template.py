# SPDX-License-Identifier: Apache-2.0
"""A template, not a machine."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    if context.machine.is_template:
        yield Remark("The source marks it as a template.")


RULE = MachineRule(
    id="machine.template",
    severity=Severity.BLOCKER,
    label="This is a template, not a machine",
    remedy="Ask for a template on the target (as_template), or deploy a machine from it and move that one.",
    source="The listing of the source",
    always_known=LISTED,
    check=check,
)
