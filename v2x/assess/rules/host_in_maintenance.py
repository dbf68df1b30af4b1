# SPDX-License-Identifier: Apache-2.0
"""A host in maintenance."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    host = context.host
    if host is not None and host.in_maintenance:
        yield Remark(f"Host “{host.name}”.")
    elif host is None and context.machine.host:
        yield Unknown("The source does not tell the state of some hosts.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="host.in-maintenance",
    severity=Severity.WARNING,
    label="The machine is on a host in maintenance",
    remedy="Move the machine to another host, or end the maintenance, before the move.",
    source="vSphere API: HostRuntimeInfo.inMaintenanceMode; Forklift: host in maintenance",
    sources=frozenset({"hyperv", "rvtools", "vsphere"}),
    check=check,
)
