# SPDX-License-Identifier: Apache-2.0
"""Shares of processor or memory that cannot be taken over."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.mapping.scheduling import weight
from v2x.model.finding import Severity
from v2x.model.units import MIB

_VMWARE_SHARES_PER_MIB = 10


def check(context: Context) -> Iterator[Remark]:
    machine = context.machine
    found = []
    if machine.cpu.shares and weight(machine) is None:
        found.append(f"{machine.cpu.shares:,} of the processors, of a scale that is not known")
    usual = machine.memory.size_bytes // MIB * _VMWARE_SHARES_PER_MIB
    if machine.memory.shares and machine.memory.shares != usual:
        found.append(f"{machine.memory.shares:,} of memory")
    if found:
        yield Remark(f"Left out: {', '.join(found)}.")


RULE = MachineRule(
    id="cpu.shares-not-carried",
    severity=Severity.INFO,
    label="Shares of memory, and of processors on an unknown scale, are not carried over",
    remedy="Set a weight on the new machine (VCPUs-params:weight) if it is to go before others; memory has none.",
    source="XAPI: VCPUs-params; XCP-ng gives each machine all its memory",
    always_known=LISTED,
    check=check,
)
