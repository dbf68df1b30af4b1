# SPDX-License-Identifier: Apache-2.0
"""More disks than XCP-ng documents as supported."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    devices = len(machine.disks) + (1 if machine.cd_drives else 0)
    limit = context.limit("disks_max")
    if limit < devices <= context.limit("vbd_devices_max"):
        yield Remark(f"{devices} disks and drives; {limit} are supported.")


RULE = MachineRule(
    id="disk.over-documented",
    severity=Severity.WARNING,
    label="More disks than XCP-ng supports",
    remedy="Join disks inside the guest before the move, or test with a copy.",
    source="XCP-ng documentation, installation requirements: 241 with the CD drive",
    always_known=LISTED,
    check=check,
)
