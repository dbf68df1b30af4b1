# SPDX-License-Identifier: Apache-2.0
"""A name with signs in their encoded form."""

import re
from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    found = re.findall(r"%(?:2f|5c|25)", context.machine.name, re.IGNORECASE)
    if found:
        yield Remark(f"{', '.join(dict.fromkeys(found))} in “{context.machine.name}”.")


RULE = MachineRule(
    id="machine.name-encoded",
    severity=Severity.INFO,
    label="The name holds signs in the encoded form of the source",
    remedy="Nothing: the plan proposes the name in plain signs; check scripts that go by the old one.",
    source="vSphere writes /, \\ and % in names as %2f, %5c and %25",
    always_known=LISTED,
    check=check,
)
