# SPDX-License-Identifier: Apache-2.0
"""A MAC address of the host's choice."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        if nic.mac and not nic.mac_is_static:
            yield Remark(f"{nic.mac}.", nic_name(nic))


RULE = MachineRule(
    id="nic.mac-dynamic",
    severity=Severity.INFO,
    label="The MAC address was chosen by the host",
    remedy=(
        "It is kept. Set it to static at the source if the old machine may run again, so that it is not given to "
        "another."
    ),
    source="Hyper-V: DynamicMacAddressEnabled; the addresses that vCenter assigns stay with their machine",
    always_known=LISTED,
    sources=frozenset({"hyperv"}),
    check=check,
)
