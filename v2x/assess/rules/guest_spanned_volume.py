# SPDX-License-Identifier: Apache-2.0
"""A volume over several disks."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity
from v2x.text import plural


def check(context: Context) -> Iterator[Said]:
    volumes = [volume for volume in context.machine.guest.volumes if volume.disks]
    if not volumes and len(context.machine.disks) > 1:
        yield Unknown(
            "Which volumes of the guest are on which disks is not known.",
            "Take the inventory while the machine runs with its tools.",
        )
    for volume in volumes:
        if len(volume.disks) > 1:
            yield Remark(f"It is on {plural(len(volume.disks), 'disk')}.", volume.path)


RULE = MachineRule(
    id="guest.spanned-volume",
    severity=Severity.WARNING,
    label="A volume of the guest spans several disks",
    remedy=(
        "Move all its disks in one go. On Windows (dynamic disks, Storage Spaces) bring them online with diskpart "
        "after the first start."
    ),
    source="Windows imports foreign dynamic disks on new hardware; only vJailbreak detects them among peers",
    check=check,
)
