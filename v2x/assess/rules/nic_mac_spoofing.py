# SPDX-License-Identifier: Apache-2.0
"""A guest that changes MAC addresses."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    for nic in context.machine.nics:
        if nic.mac_spoofing:
            yield Remark(f"On network “{nic.network}”.", nic_name(nic))
        elif nic.mac_spoofing is None:
            yield Unknown("The source does not tell whether guests may change MAC addresses.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="nic.mac-spoofing",
    severity=Severity.INFO,
    label="The guest may use other MAC addresses than its own",
    remedy=(
        "Nothing, unless the network is locked: leave the network's default locking mode at unlocked for load "
        "balancers and nested hosts."
    ),
    source="Hyper-V: MacAddressSpoofing; XAPI: VIF.locking_mode",
    sources=frozenset({"hyperv"}),
    check=check,
)
