# SPDX-License-Identifier: Apache-2.0
"""Less memory than the template asks for."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import POOL_TEMPLATES
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import show_bytes


def check(context: Context) -> Iterator[Remark]:
    row, facts = context.guest_row, context.facts
    if row is None or facts is None:
        return
    least = next((one.memory_static_min_bytes for one in facts.templates if one.reference_label in row.templates), 0)
    if 0 < context.machine.memory.size_bytes < least:
        yield Remark(f"{show_bytes(context.machine.memory.size_bytes)}; {row.name} asks for {show_bytes(least)}.")


RULE = MachineRule(
    id="memory.below-template",
    severity=Severity.INFO,
    label="The machine has less memory than the template recommends",
    remedy="Nothing has to be done; raise memory in the plan if the guest is slow.",
    source="XAPI: VM.memory_static_min of the templates",
    needs=(POOL_TEMPLATES,),
    check=check,
)
