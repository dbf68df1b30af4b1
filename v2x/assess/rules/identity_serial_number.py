# SPDX-License-Identifier: Apache-2.0
"""A serial number or asset tag."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    found = [
        f"{what} {value}"
        for what, value in (("serial number", machine.serial_number), ("asset tag", machine.asset_tag))
        if value
    ]
    if found:
        yield Remark(f"{', '.join(found)}.")


RULE = MachineRule(
    id="identity.serial-number",
    severity=Severity.INFO,
    label="Serial number and asset tag change",
    remedy="Set bios_strings to yes in the plan where licences or inventories go by them.",
    source="XAPI: VM.bios_strings",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
