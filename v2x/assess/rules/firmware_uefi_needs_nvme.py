# SPDX-License-Identifier: Apache-2.0
"""An old Windows that cannot see emulated UEFI disks."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.guest import lacks_nvme_driver, shown_name
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import SYSTEM
from v2x.model.finding import Severity
from v2x.model.machine import Firmware


def check(context: Context) -> Iterator[Said]:
    machine = context.machine
    if machine.firmware is Firmware.UEFI and context.family == "windows" and lacks_nvme_driver(machine.guest):
        yield Remark(f"{shown_name(machine.guest)} has no NVMe driver of its own.")
    elif machine.firmware is Firmware.UEFI and not context.family:
        yield SYSTEM


RULE = MachineRule(
    id="firmware.uefi-needs-nvme",
    severity=Severity.WARNING,
    label="This Windows release has no driver for the disks of a UEFI machine",
    remedy="Install the NVMe hot fix or Xen PV drivers before the move, and test with a copy.",
    source="xen-api ocaml/xenopsd/xc/device.ml: the UEFI profile shows disks as NVMe until PV drivers load",
    check=check,
)
