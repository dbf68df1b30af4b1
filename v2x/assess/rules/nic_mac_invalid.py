# SPDX-License-Identifier: Apache-2.0
"""A MAC address that is none."""

import re
from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity

_ADDRESS = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        if nic.mac and (not _ADDRESS.fullmatch(nic.mac) or nic.mac.strip("0:") == ""):
            yield Remark(f"The source says “{nic.mac}”.", nic_name(nic))


RULE = MachineRule(
    id="nic.mac-invalid",
    severity=Severity.BLOCKER,
    label="A network card's MAC address is not valid",
    remedy="Correct the address at the source, or set mac to new in the plan.",
    source="XAPI: MAC_INVALID; six pairs of hex digits with colons",
    check=check,
)
