# SPDX-License-Identifier: Apache-2.0
"""A machine with snapshots."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.text import plural


def check(context: Context) -> Iterator[Remark]:
    snapshots = context.machine.snapshots
    if snapshots:
        with_memory = sum(1 for snapshot in snapshots if snapshot.with_memory)
        memory = f", {with_memory} with memory" if with_memory else ""
        yield Remark(f"{plural(len(snapshots), 'snapshot')}{memory}: the history is not moved.")


RULE = MachineRule(
    id="machine.snapshots",
    severity=Severity.WARNING,
    label="Snapshots are merged into the present state",
    remedy=(
        "Remove snapshots that you do not need before the move; keep the source until nothing of their "
        "history is needed."
    ),
    source="Only the present state of each disk is copied",
    always_known=LISTED,
    check=check,
)
