# SPDX-License-Identifier: Apache-2.0
"""A machine that its management cannot reach."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    state = context.machine.connection_state
    if state and state.casefold() not in ("connected", "ok"):
        yield Remark(f"The source calls it {state}: what it tells may be old, and its disks cannot be read.")
    elif not state:
        yield Unknown("The source does not tell whether it can reach the machine.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="machine.not-connected",
    severity=Severity.BLOCKER,
    label="The source cannot reach the machine",
    remedy="Bring its host or datastore back, or remove the stale entry from the inventory, then assess again.",
    source=(
        "vSphere API: VirtualMachineConnectionState; Forklift refuses machines whose connectionState is not connected"
    ),
    sources=frozenset({"rvtools", "vsphere"}),
    check=check,
)
