# SPDX-License-Identifier: Apache-2.0
"""A machine without a processor."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    count = context.machine.cpu.count
    if count < 1:
        yield Remark(f"The source says {count}.")


RULE = MachineRule(
    id="cpu.count-invalid",
    severity=Severity.BLOCKER,
    label="The number of processors is not valid",
    remedy="Set vcpus in the plan, or repair the description at the source.",
    source="XAPI: VCPUs_max must be at least 1",
    always_known=LISTED,
    check=check,
)
