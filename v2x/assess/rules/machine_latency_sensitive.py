# SPDX-License-Identifier: Apache-2.0
"""A machine with processors of its own."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    level = context.machine.latency_sensitivity
    if level.casefold() in ("high", "medium"):
        yield Remark(f"Its latency sensitivity is {level}.")
    elif not level:
        yield Unknown("The source does not tell the latency sensitivity.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="machine.latency-sensitive",
    severity=Severity.INFO,
    label="High latency sensitivity is not carried over",
    remedy="Pin the machine to processors of its host on the pool (VCPUs-params:mask) if it is truly needed.",
    source="vSphere: latency sensitivity high reserves whole processors; XAPI: VCPUs-params",
    sources=frozenset({"rvtools", "vsphere"}),
    check=check,
)
