# SPDX-License-Identifier: Apache-2.0
"""High availability at the source."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    machine = context.machine
    cluster = context.estate.clusters.get(machine.cluster)
    if machine.ha_priority and machine.ha_priority.casefold() not in ("disabled", "none"):
        yield Remark(f"Its priority is “{machine.ha_priority}”.")
    elif not machine.ha_priority and cluster is not None and cluster.ha:
        yield Remark(f"Cluster “{cluster.name}” restarts it when its host fails.")
    elif not machine.ha_priority and machine.cluster and (cluster is None or cluster.ha is None):
        yield Unknown("The source does not tell whether its cluster restarts machines.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="machine.ha-priority",
    severity=Severity.INFO,
    label="High availability of the source is not carried over",
    remedy="Turn HA on in the pool, and set ha to restart in the plan for machines that need it.",
    source="XAPI: VM.ha_restart_priority; vSphere HA and Hyper-V failover clusters know other priorities",
    sources=frozenset({"hyperv", "rvtools", "vsphere"}),
    check=check,
)
