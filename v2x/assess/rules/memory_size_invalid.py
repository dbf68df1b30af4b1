# SPDX-License-Identifier: Apache-2.0
"""A machine without memory."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import ABOUT_NOT_KNOWING
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    size = context.machine.memory.size_bytes
    if size <= 0:
        yield Remark(f"The source says {size} bytes.")


RULE = MachineRule(
    id="memory.size-invalid",
    severity=Severity.BLOCKER,
    label="The memory size is not valid",
    remedy="Set memory in the plan, or repair the description at the source.",
    source="XAPI: MEMORY_CONSTRAINT_VIOLATION",
    always_known=ABOUT_NOT_KNOWING,
    check=check,
)
