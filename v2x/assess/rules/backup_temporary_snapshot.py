# SPDX-License-Identifier: Apache-2.0
"""A snapshot that a backup product is working with."""

from collections.abc import Iterator

from v2x.assess.backup import product_of_snapshot
from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for snapshot in context.machine.snapshots:
        if product := product_of_snapshot(snapshot):
            yield Remark(f"“{snapshot.name}”, by the look of it of {product}.")


RULE = MachineRule(
    id="backup.temporary-snapshot",
    severity=Severity.WARNING,
    label="A backup product has a temporary snapshot of the machine",
    remedy=(
        "Wait until the job has ended; where it died, remove the snapshot at the source. Pause the job for the "
        "time of the move."
    ),
    source="The names that backup products give to their snapshots, by their manuals",
    always_known=LISTED,
    check=check,
)
