# SPDX-License-Identifier: Apache-2.0
"""Fault Tolerance."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    if context.machine.fault_tolerance:
        yield Remark("It runs with a second copy of itself.")
    elif context.machine.fault_tolerance is None:
        yield Unknown("The source does not tell whether Fault Tolerance is on.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="machine.fault-tolerance",
    severity=Severity.WARNING,
    label="Fault Tolerance is not carried over",
    remedy=(
        "Turn Fault Tolerance off at the source before the move: it forbids snapshots. On the pool, HA restarts "
        "the machine instead."
    ),
    source="XCP-ng has no lockstep machines; Forklift: fault_tolerance",
    sources=frozenset({"rvtools", "vsphere"}),
    check=check,
)
