# SPDX-License-Identifier: Apache-2.0
"""Hot-adding processors or memory."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    kinds = [name for on, name in ((machine.cpu.hot_add, "processors"), (machine.memory.hot_add, "memory")) if on]
    if kinds:
        yield Remark(f"Hot-add is on for {' and '.join(kinds)}.")


RULE = MachineRule(
    id="hardware.hot-add",
    severity=Severity.INFO,
    label="Processors and memory cannot be added while the machine runs",
    remedy="Choose sizes in the plan that last until the next planned restart.",
    source="XAPI: VCPUs-max and static memory are fixed at start",
    always_known=LISTED,
    check=check,
)
