# SPDX-License-Identifier: Apache-2.0
"""The source does not say which firmware the guest boots with."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import ABOUT_NOT_KNOWING
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    if not machine.firmware_stated:
        yield Remark(f"{machine.firmware.value.upper()} is assumed.")


RULE = MachineRule(
    id="firmware.not-stated",
    severity=Severity.WARNING,
    label="The source does not say whether the guest boots by BIOS or UEFI",
    remedy=(
        "Look it up at the source and set the firmware in the plan: a guest installed under one does not "
        "start under the other."
    ),
    source="The DSP0243 (OVF) standard has no field for firmware; VMware adds vmw:Config firmware",
    always_known=ABOUT_NOT_KNOWING,
    check=check,
)
