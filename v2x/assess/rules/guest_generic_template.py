# SPDX-License-Identifier: Apache-2.0
"""A known guest for which XCP-ng has no template of its own."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    row = context.guest_row
    if row is not None and not row.templates:
        generic = context.estate.tables.candidates(row, context.machine.firmware)[0]
        yield Remark(f"{row.name} uses the template {generic}.")


RULE = MachineRule(
    id="guest.generic-template",
    severity=Severity.INFO,
    label="XCP-ng has no template of its own for this guest",
    remedy=("Nothing has to be done; check the platform settings in the plan if the guest is particular about them."),
    source="XCP-ng guest templates (xcp-ng-rpms/guest-templates-json)",
    always_known="a guest that is not known is guest.unknown-os",
    check=check,
)
