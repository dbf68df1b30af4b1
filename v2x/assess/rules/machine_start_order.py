# SPDX-License-Identifier: Apache-2.0
"""A place in the start order of a group."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    if machine.start_order is not None and machine.group:
        yield Remark(f"Number {machine.start_order} in “{machine.group}”.")


RULE = MachineRule(
    id="machine.start-order",
    severity=Severity.INFO,
    label="The start order of a group becomes a vApp on the pool",
    remedy="Set the delays between the machines there; into an XVA file the order does not go.",
    source="XAPI: VM_appliance with VM.order, start_delay and shutdown_delay",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
