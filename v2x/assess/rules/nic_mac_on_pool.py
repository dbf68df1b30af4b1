# SPDX-License-Identifier: Apache-2.0
"""A MAC address that the pool already has."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import POOL
from v2x.assess.rule import MachineRule, Remark
from v2x.mapping.mac import plain_mac
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for nic in context.machine.nics:
        holder = context.estate.pool.macs.get(plain_mac(nic.mac))
        if holder is not None:
            yield Remark(f"{nic.mac} belongs to “{holder}” on the pool.", nic_name(nic))


RULE = MachineRule(
    id="nic.mac-on-pool",
    severity=Severity.BLOCKER,
    label="A MAC address is already used on the pool",
    remedy="Set mac to new in the plan, or remove the other machine's network card.",
    source="XAPI does not check for duplicates, and two machines with one address disturb each other",
    needs=(POOL,),
    check=check,
)
