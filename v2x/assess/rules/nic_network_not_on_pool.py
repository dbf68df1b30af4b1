# SPDX-License-Identifier: Apache-2.0
"""A network of the source for which no network of the pool is certain."""

from collections.abc import Iterator

from v2x.assess.context import Context, nic_name
from v2x.assess.needs import POOL_NETWORKS
from v2x.assess.rule import MachineRule, Remark
from v2x.mapping.networks import NetworkChoice, candidates, resolve_network
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    facts = context.facts
    if facts is None or not facts.networks:
        return
    for nic in context.machine.nics:
        found = resolve_network(nic, context.machine, facts, context.estate.places)
        if not isinstance(found, NetworkChoice):
            name = f"Network “{nic.network}”" if nic.network else "No network"
            yield Remark(f"{name}: {found.why}; it could be {candidates(found, facts)}.", nic_name(nic))


RULE = MachineRule(
    id="nic.network-not-on-pool",
    severity=Severity.WARNING,
    label="The network of a card on the pool is not certain",
    remedy=(
        "Name it: --network SOURCE=TARGET, the networks column of the plan, or a [[network]] or [[uplink]] "
        "rule in v2x.toml. Nothing is migrated before."
    ),
    source=(
        "XAPI: network.name_label, PIF.VLAN, PIF.device; a VLAN id alone does not say over which interface it goes"
    ),
    needs=(POOL_NETWORKS,),
    check=check,
)
