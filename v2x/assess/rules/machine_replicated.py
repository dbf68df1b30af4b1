# SPDX-License-Identifier: Apache-2.0
"""A machine that is replicated elsewhere."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    state = context.machine.replication
    if state and state.casefold() not in ("disabled", "none"):
        yield Remark(f"Its replication is “{state}”.")
    elif not state and context.estate.from_hyperv:
        yield Unknown("The source does not tell whether the machine is replicated.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="machine.replicated",
    severity=Severity.WARNING,
    label="The machine is replicated to another place",
    remedy=(
        "Pause or remove the replication before the move, and set up a new one for the machine on the pool (XO "
        "continuous replication)."
    ),
    source="Hyper-V Replica: ReplicationState; vSphere Replication and others use I/O filters",
    sources=frozenset({"hyperv", "vsphere"}),
    check=check,
)
