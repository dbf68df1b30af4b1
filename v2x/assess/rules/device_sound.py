# SPDX-License-Identifier: Apache-2.0
"""A sound card."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for device in context.machine.devices:
        if device.kind == "sound":
            yield Remark("A sound card.", device.label)


RULE = MachineRule(
    id="device.sound",
    severity=Severity.INFO,
    label="Sound cards are not carried over",
    remedy="Nothing has to be done; sound of a remote desktop session does not need one.",
    source="XCP-ng gives machines no sound card",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
