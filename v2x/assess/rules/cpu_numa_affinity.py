# SPDX-License-Identifier: Apache-2.0
"""Binding to NUMA nodes."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    if affinity := context.machine.cpu.numa_affinity:
        yield Remark(f"Nodes {affinity}.")


RULE = MachineRule(
    id="cpu.numa-affinity",
    severity=Severity.INFO,
    label="Binding to NUMA nodes is not carried over",
    remedy="Nothing for most; XCP-ng shows guests no NUMA, so tune databases anew after the move.",
    source="XAPI shows guests no NUMA topology; Forklift: numa_affinity",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
