# SPDX-License-Identifier: Apache-2.0
"""The template that fits the guest is not on the pool."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import POOL_TEMPLATES
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    row = context.guest_row
    templates = context.estate.pool.templates
    if row is not None and row.templates and templates and templates.isdisjoint(row.templates):
        yield Remark(f"{row.name} asks for {row.templates[0]}; a generic template is used instead.")


RULE = MachineRule(
    id="guest.template-not-on-pool",
    severity=Severity.WARNING,
    label="The template for this guest is not on the pool",
    remedy="Update the pool, or name another template of the pool in the plan.",
    source="XAPI: VM records with is_a_template and reference_label; older pools have fewer templates",
    needs=(POOL_TEMPLATES,),
    check=check,
)
