# SPDX-License-Identifier: Apache-2.0
"""A USB device of the host."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for device in context.machine.devices:
        if device.kind == "usb":
            yield Remark("The guest loses this device.", device.label)


RULE = MachineRule(
    id="device.usb",
    severity=Severity.WARNING,
    label="A USB device is not carried over",
    remedy=("Set up USB passthrough on the XCP-ng host after the move (at most 6 devices), or use a network USB hub."),
    source="XCP-ng documentation, compute: USB passthrough",
    always_known=LISTED,
    check=check,
)
