# SPDX-License-Identifier: Apache-2.0
"""Names that differ by case only."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    if context.estate.folded_names.get(machine.name.casefold(), 0) > 1:
        yield Remark(f"“{machine.name}” is one of them.")


RULE = MachineRule(
    id="machine.name-case",
    severity=Severity.WARNING,
    label="Names of several machines differ by upper and lower case only",
    remedy="Give each a target name of its own in the plan: people, file systems and Windows take them for one.",
    source="XAPI keeps names apart by case; SMB shares, Windows and DNS do not",
    always_known=LISTED,
    check=check,
)
