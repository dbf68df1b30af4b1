# SPDX-License-Identifier: Apache-2.0
"""A dynamic memory range."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(context: Context) -> Iterator[Remark]:
    memory = context.machine.memory
    low, high = memory.dynamic_min_bytes, memory.dynamic_max_bytes
    if low is not None and high is not None and low != high:
        yield Remark(
            f"{show_bytes(low)} to {show_bytes(high)} at the source, {show_bytes(memory.needed_bytes)} after the move."
        )


RULE = MachineRule(
    id="memory.dynamic-not-carried",
    severity=Severity.INFO,
    label="The dynamic memory range is not carried over",
    remedy="Check that the memory in the plan suffices; the machine has exactly that much, always.",
    source="XCP-ng documentation advises a fixed memory size (dynamic minimum equal to maximum)",
    always_known=LISTED,
    check=check,
)
