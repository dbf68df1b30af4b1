# SPDX-License-Identifier: Apache-2.0
"""A host that its management cannot reach."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    host = context.host
    if host is not None and host.connection_state and host.connection_state.casefold() not in ("connected", "up", "ok"):
        yield Remark(f"Host “{host.name}” is {host.connection_state}.")
    elif (host is None and context.machine.host) or (host is not None and not host.connection_state):
        yield Unknown("The source does not tell whether it can reach some hosts.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="host.not-connected",
    severity=Severity.BLOCKER,
    label="The host of the machine cannot be reached",
    remedy="Bring the host back, or start the machine on another one, then assess again.",
    source="vSphere API: HostSystemConnectionState",
    sources=frozenset({"hyperv", "rvtools", "vsphere"}),
    check=check,
)
