# SPDX-License-Identifier: Apache-2.0
"""A machine on a cluster node that is no role of the cluster."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    machine = context.machine
    if machine.cluster_role is False and machine.cluster:
        yield Remark(f"It is on a node of “{machine.cluster}”.")
    elif machine.cluster_role is None and machine.cluster:
        yield Unknown("The source does not tell whether the machine is a role of its cluster.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="machine.not-clustered",
    severity=Severity.INFO,
    label="The machine is on a cluster node, but is no role of the cluster",
    remedy="Name the node that it is on as the source: its disks may be on that node only.",
    source="Hyper-V failover clustering; Forklift: cluster_role",
    sources=frozenset({"hyperv"}),
    check=check,
)
