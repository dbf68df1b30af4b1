# SPDX-License-Identifier: Apache-2.0
"""A host whose licence forbids the interface."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    host = context.host
    if host is not None and host.read_only_licence:
        yield Remark(f"Host “{host.name}”{f', {host.licence}' if host.licence else ''}.")
    elif (host is None and context.machine.host) or (host is not None and host.read_only_licence is None):
        yield Unknown("The source does not tell the licences of some hosts.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="host.free-licence",
    severity=Severity.WARNING,
    label="The licence of the host forbids snapshots and change tracking from outside",
    remedy=(
        "Move the machine with it off: its files are then read over HTTPS or SSH. A warm move needs a licence with "
        "the API."
    ),
    source="Free ESXi answers: Current license or ESXi version prohibits execution of the requested operation",
    sources=frozenset({"rvtools", "vsphere"}),
    check=check,
)
