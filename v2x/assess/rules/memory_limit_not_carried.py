# SPDX-License-Identifier: Apache-2.0
"""A limit below the memory that the guest has."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(context: Context) -> Iterator[Remark]:
    memory = context.machine.memory
    if memory.limit_bytes and 0 < memory.limit_bytes < memory.size_bytes:
        yield Remark(f"A limit of {show_bytes(memory.limit_bytes)} on {show_bytes(memory.size_bytes)}.")


RULE = MachineRule(
    id="memory.limit-not-carried",
    severity=Severity.WARNING,
    label="The source gives the guest less memory than it shows",
    remedy="Lower memory in the plan to what the guest truly had, or make sure that the pool has all of it free.",
    source="vSphere: a memory limit makes the host swap and balloon; XCP-ng gives a machine all its memory at start",
    always_known=LISTED,
    check=check,
)
