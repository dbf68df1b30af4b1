# SPDX-License-Identifier: Apache-2.0
"""The machine shares a disk with others."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.groups import partners
from v2x.assess.needs import GROUPS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.inventory import Together


def check(context: Context) -> Iterator[Remark]:
    for group in context.groups:
        if group.kind is Together.SHARED_DISK:
            yield Remark(f"With {partners(context, group)}.", group.name)


RULE = MachineRule(
    id="together.shared-disk",
    severity=Severity.WARNING,
    label="The machine shares a disk with others",
    remedy=(
        "Stop them all, and move them in one wave; decide which one keeps the disk, or share it over iSCSI inside "
        "the guests."
    ),
    source="XAPI: an image has one writer; Forklift: running machines that share a disk",
    needs=(GROUPS,),
    check=check,
)
