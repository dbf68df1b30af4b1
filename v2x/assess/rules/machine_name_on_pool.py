# SPDX-License-Identifier: Apache-2.0
"""A name that the pool already has."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import POOL
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    if context.machine.name in context.estate.pool.names:
        yield Remark(f"The pool has a machine named “{context.machine.name}”.")


RULE = MachineRule(
    id="machine.name-on-pool",
    severity=Severity.BLOCKER,
    label="A machine of this name is already on the pool",
    remedy="Give another target name in the plan, or rename the machine on the pool.",
    source="XAPI allows it; people and scripts that go by name then meet the wrong machine",
    needs=(POOL,),
    check=check,
)
