# SPDX-License-Identifier: Apache-2.0
"""More network cards than XCP-ng can give."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import RELEASE
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    count = len(context.machine.nics)
    limit = context.limit("nics_max")
    if count > limit:
        yield Remark(f"{count} network cards; at most {limit} are possible.")
    elif count > context.estate.lowest_limit("nics_max") and not context.knows_xapi:
        yield RELEASE


RULE = MachineRule(
    id="nic.too-many",
    severity=Severity.BLOCKER,
    label="More network cards than XCP-ng supports",
    remedy="Leave network cards out, or join networks as VLANs inside the guest, before the move.",
    source="XAPI: VIF devices 0 to 15 from xapi 25.33, 0 to 6 before; XCP-ng documentation, installation requirements",
    check=check,
)
