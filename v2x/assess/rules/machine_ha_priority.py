# SPDX-License-Identifier: Apache-2.0
"""High availability at the source."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.mapping.starting import ha_priority
from v2x.model.finding import Severity
from v2x.model.target import HaPriority


def check(context: Context) -> Iterator[Said]:
    machine = context.machine
    cluster = context.estate.clusters.get(machine.cluster)
    taken = ha_priority(machine)
    if taken is not HaPriority.NONE:
        yield Remark(f"Its priority “{machine.ha_priority}” becomes {taken}.")
    elif not machine.ha_priority and cluster is not None and cluster.ha:
        yield Remark(f"Cluster “{cluster.name}” restarts it when its host fails; the plan sets no priority.")
    elif not machine.ha_priority and machine.cluster and (cluster is None or cluster.ha is None):
        yield Unknown("The source does not tell whether its cluster restarts machines.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="machine.ha-priority",
    severity=Severity.INFO,
    label="High availability works where HA is on in the pool",
    remedy="Turn HA on in the pool, and set ha in the plan to restart for machines that need it and have none.",
    source="XAPI: VM.ha_restart_priority, pool.ha_enabled; vSphere and failover clusters know other priorities",
    sources=frozenset({"hyperv", "rvtools", "vsphere"}),
    check=check,
)
