# SPDX-License-Identifier: Apache-2.0
"""A VLAN that the pool does not have."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import POOL_NETWORKS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    estate = context.estate
    if not estate.pool.networks:
        return
    for nic in context.machine.nics:
        vlan = context.origin(nic).vlan
        if vlan and vlan not in estate.pool.vlans:
            yield Remark(f"VLAN {vlan} of network “{nic.network}”.", nic_name(nic))


RULE = MachineRule(
    id="nic.vlan-not-on-pool",
    severity=Severity.WARNING,
    label="A VLAN of the source is on no network of the pool",
    remedy="Make a network with this VLAN on the pool (or use --create-networks), and choose it in the plan.",
    source="XAPI: PIF.VLAN of the networks of the pool",
    needs=(POOL_NETWORKS,),
    check=check,
)
