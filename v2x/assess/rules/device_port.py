# SPDX-License-Identifier: Apache-2.0
"""A serial or parallel port."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for device in context.machine.devices:
        if device.kind in ("serial", "parallel"):
            yield Remark(f"A {device.kind} port.", device.label)


RULE = MachineRule(
    id="device.port",
    severity=Severity.INFO,
    label="Serial and parallel ports are not carried over",
    remedy="Connect what used the port over the network, if it is still in use.",
    source="XAPI: hvm_serial is for pool administrators; parallel ports need a device of the host",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
