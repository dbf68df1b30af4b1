# SPDX-License-Identifier: Apache-2.0
"""More network cards than older pools take."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity

_OLDER = "25.6"


def check(context: Context) -> Iterator[Remark]:
    count = len(context.machine.nics)
    few = context.estate.tables.limit("nics_max", xapi=_OLDER)
    if few < count <= context.limit("nics_max") and not context.knows_xapi:
        yield Remark(f"{count} network cards; pools that are not up to date take {few}.")


RULE = MachineRule(
    id="nic.more-than-seven",
    severity=Severity.WARNING,
    label="More network cards than older versions of XCP-ng support",
    remedy="Update the pool to a current XCP-ng 8.3 before the move.",
    source="XAPI: VIF devices 0 to 15 from xapi 25.33, 0 to 6 before",
    always_known=LISTED,
    check=check,
)
