# SPDX-License-Identifier: Apache-2.0
"""More network cards than older pools take."""

from collections.abc import Iterator

from v2x.assess.context import Context, has_new_xapi, has_old_xapi
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    count = len(context.machine.nics)
    few, many = context.limit("vifs_old"), context.limit("vifs_max")
    if few < count <= many and not has_old_xapi(context) and not has_new_xapi(context):
        yield Remark(f"{count} network cards; pools that are not up to date take {few}.")


RULE = MachineRule(
    id="nic.more-than-seven",
    severity=Severity.WARNING,
    label="More network cards than older versions of XCP-ng support",
    remedy="Update the pool to a current XCP-ng 8.3 before the move.",
    source="XAPI: VIF devices 0 to 15 for certain from xapi 25.33, 0 to 6 up to 25.6",
    check=check,
)
