# SPDX-License-Identifier: Apache-2.0
"""A guest operating system that no mapping row knows."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.guest import shown_name
from v2x.assess.needs import ABOUT_NOT_KNOWING
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    if context.guest_row is not None:
        return
    told = shown_name(context.machine.guest)
    if told:
        yield Remark(f"No mapping row knows “{told}”; a generic template is used.")
    else:
        yield Remark("The source does not say which operating system runs here; a generic template is used.")


RULE = MachineRule(
    id="guest.unknown-os",
    severity=Severity.WARNING,
    label="The guest operating system is not known",
    remedy="Name a template in the plan, or add a row for this id to a mapping file of your own.",
    source="XCP-ng guest templates (xcp-ng-rpms/guest-templates-json)",
    always_known=ABOUT_NOT_KNOWING,
    check=check,
)
