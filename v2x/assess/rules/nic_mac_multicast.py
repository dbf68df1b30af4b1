# SPDX-License-Identifier: Apache-2.0
"""A MAC address of a group."""

import re
from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        first = nic.mac[:2]
        if re.fullmatch(r"[0-9a-fA-F]{2}", first) and int(first, 16) & 1:
            yield Remark(f"The source says {nic.mac}.", nic_name(nic))


RULE = MachineRule(
    id="nic.mac-multicast",
    severity=Severity.WARNING,
    label="A network card has a multicast address as its own",
    remedy="Set mac to new in the plan: switches drop frames that come from such an address.",
    source="IEEE 802: the lowest bit of the first byte marks a group; XAPI does not check it",
    check=check,
)
