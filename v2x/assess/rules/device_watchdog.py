# SPDX-License-Identifier: Apache-2.0
"""A watchdog."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for device in context.machine.devices:
        if device.kind == "watchdog":
            yield Remark("The guest loses it.", device.label)


RULE = MachineRule(
    id="device.watchdog",
    severity=Severity.INFO,
    label="A virtual watchdog is not carried over",
    remedy=(
        "Use HA of the pool, or Xen's own watchdog driver in the guest, if the machine shall be restarted when it "
        "hangs."
    ),
    source="XCP-ng gives machines no such device; Forklift: watchdog",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
