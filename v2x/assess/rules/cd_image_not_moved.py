# SPDX-License-Identifier: Apache-2.0
"""A CD image in a drive."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for drive in context.machine.cd_drives:
        if drive.image:
            yield Remark(f"{drive.image} is in the drive.", f"CD drive {drive.position + 1}")


RULE = MachineRule(
    id="cd.image-not-moved",
    severity=Severity.INFO,
    label="CD images are not moved",
    remedy="Put the image on an ISO repository of the pool if the guest still needs it.",
    source="v2x moves disks; ISO images belong in an ISO repository",
    always_known=LISTED,
    check=check,
)
