# SPDX-License-Identifier: Apache-2.0
"""A name with characters that cannot be seen."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.text import printable


def check(context: Context) -> Iterator[Remark]:
    name = context.machine.name
    if not name.strip():
        yield Remark("The name is empty.")
    elif name != name.strip() or printable(name, limit=len(name) * 12) != name:
        yield Remark(f"The name is “{name}”.")


RULE = MachineRule(
    id="machine.name-unusual",
    severity=Severity.WARNING,
    label="The machine's name has characters that cannot be seen, or is empty",
    remedy="Give a plain target name in the plan.",
    source="Control and format characters in names confuse terminals, logs and people",
    always_known=LISTED,
    check=check,
)
