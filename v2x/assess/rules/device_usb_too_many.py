# SPDX-License-Identifier: Apache-2.0
"""More USB devices than a machine can have."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    count = sum(device.kind == "usb" for device in context.machine.devices)
    limit = context.limit("usb_devices_max")
    if count > limit:
        yield Remark(f"{count} USB devices; at most {limit} are possible.")


RULE = MachineRule(
    id="device.usb-too-many",
    severity=Severity.WARNING,
    label="More USB devices than XCP-ng gives a machine",
    remedy="Use a network USB hub for the rest.",
    source="XCP-ng documentation, installation requirements: 6 USB devices",
    always_known=LISTED,
    check=check,
)
