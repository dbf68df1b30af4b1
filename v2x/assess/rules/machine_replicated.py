# SPDX-License-Identifier: Apache-2.0
"""A machine that is replicated elsewhere."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    state = context.machine.replication
    if state and state.casefold() not in ("disabled", "none"):
        by_array = state.startswith("by the array")
        yield Remark(f"It is replicated {state}." if by_array else f"Its replication is “{state}”.")


RULE = MachineRule(
    id="machine.replicated",
    severity=Severity.WARNING,
    label="The machine is replicated to another place",
    remedy=(
        "Pause or remove the replication before the move, and set up a new one for the machine on the pool (XO "
        "continuous replication)."
    ),
    source="Hyper-V Replica: ReplicationState; vSphere Replication and others: I/O filters; Site Recovery Manager tags "
    "datastores of replicated arrays (Broadcom knowledge base, article 312732)",
    always_known="a source that can tell names every replication that is on",
    sources=frozenset({"hyperv", "vsphere"}),
    check=check,
)
