# SPDX-License-Identifier: Apache-2.0
"""Shares of processor or memory."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.units import MIB


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    found = [
        f"{what} {shares:,}"
        for what, shares, usual in (
            ("processors", machine.cpu.shares, machine.cpu.count * 1000),
            ("memory", machine.memory.shares, machine.memory.size_bytes // MIB * 10),
        )
        if shares and shares != usual
    ]
    if found:
        yield Remark(f"{', '.join(found)}.")


RULE = MachineRule(
    id="cpu.shares-not-carried",
    severity=Severity.INFO,
    label="Shares are not carried over",
    remedy="Set a weight on the new machine (VCPUs-params:weight) if it is to go before others.",
    source="XAPI: VCPUs-params; shares of vSphere are relative to their resource pool",
    always_known=LISTED,
    check=check,
)
