# SPDX-License-Identifier: Apache-2.0
"""A template, not a machine."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    if context.machine.is_template:
        yield Remark("The source marks it as a template.")


RULE = MachineRule(
    id="machine.template",
    severity=Severity.BLOCKER,
    label="This is a template, not a machine",
    remedy="Deploy a machine from it at the source and move that one, or leave it out.",
    source="The listing of the source",
    check=check,
)
