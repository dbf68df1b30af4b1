# SPDX-License-Identifier: Apache-2.0
"""A physical device given to the machine."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for device in context.machine.devices:
        if device.kind == "passthrough":
            yield Remark("The guest loses this device.", device.label)


RULE = MachineRule(
    id="device.passthrough",
    severity=Severity.WARNING,
    label="A passed-through device is not carried over",
    remedy="Set up PCI passthrough on the XCP-ng host by hand after the move, if the guest needs the device.",
    source="XCP-ng documentation, compute: PCI passthrough is set up on the host",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
