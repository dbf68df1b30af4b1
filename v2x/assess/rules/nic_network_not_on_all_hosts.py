# SPDX-License-Identifier: Apache-2.0
"""A network that some hosts lack."""

from collections.abc import Iterator

from v2x.assess.context import Context, mapped_networks, nic_name
from v2x.assess.needs import POOL_NETWORKS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    facts = context.facts
    if facts is None or context.estate.offline:
        return
    for nic, network in mapped_networks(context):
        lacking = [host.name for host in context.estate.pool.hosts if host.uuid not in network.hosts]
        if network.hosts and lacking:
            yield Remark(f"“{network.name}” is not on {', '.join(lacking[:5])}.", nic_name(nic))


RULE = MachineRule(
    id="nic.network-not-on-all-hosts",
    severity=Severity.WARNING,
    label="A network of the pool is not on all its hosts",
    remedy=(
        "Connect the network on every host, or give the machine a host that it prefers: it can start on the others "
        "no more."
    ),
    source="XAPI: VM_REQUIRES_NETWORK; PIF records of the network",
    needs=(POOL_NETWORKS,),
    check=check,
)
