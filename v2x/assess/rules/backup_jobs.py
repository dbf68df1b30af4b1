# SPDX-License-Identifier: Apache-2.0
"""A machine that a backup product knows."""

from collections.abc import Iterator

from v2x.assess.backup import products_of
from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    products = products_of(context.machine)
    if products:
        yield Remark(f"Marks of {', '.join(products)}.")


RULE = MachineRule(
    id="backup.jobs",
    severity=Severity.INFO,
    label="A backup product of the source knows the machine",
    remedy=(
        "Pause its job before the move: snapshots and merges in mid-copy cost time, and a warm move does not "
        "survive them. Set up a backup of the new machine."
    ),
    source="Attributes, tags and notes that backup products write, by their manuals",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
