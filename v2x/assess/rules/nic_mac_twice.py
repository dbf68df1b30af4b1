# SPDX-License-Identifier: Apache-2.0
"""A MAC address that two machines of the source have."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.mapping.mac import plain_mac
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    for nic in machine.nics:
        owners = context.estate.macs.get(plain_mac(nic.mac), ())
        if len(owners) > 1:
            others = sorted(set(owners) - {machine.name}) or [machine.name]
            more = f" and {len(others) - 3} more" if len(others) > 3 else ""
            named = ", ".join(f"“{name}”" for name in others[:3])
            yield Remark(f"{nic.mac} is also on {named}{more}.", nic_name(nic))


RULE = MachineRule(
    id="nic.mac-twice",
    severity=Severity.WARNING,
    label="A MAC address occurs more than once in the inventory",
    remedy="Set mac to new in the plan for all but one of them, if both shall run in the same network.",
    source="XAPI does not check for duplicates",
    always_known=LISTED,
    check=check,
)
