# SPDX-License-Identifier: Apache-2.0
"""A floppy drive."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for device in context.machine.devices:
        if device.kind == "floppy":
            yield Remark("A floppy drive.", device.label)


RULE = MachineRule(
    id="device.floppy",
    severity=Severity.INFO,
    label="Floppy drives are not carried over",
    remedy="Nothing has to be done, unless the guest still reads floppies.",
    source="XAPI gives new machines no floppy drive",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
