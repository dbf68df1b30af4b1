# SPDX-License-Identifier: Apache-2.0
"""A virtual graphics processor."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for device in context.machine.devices:
        if device.kind == "vgpu":
            yield Remark("The guest loses this device.", device.label)


RULE = MachineRule(
    id="device.vgpu",
    severity=Severity.WARNING,
    label="A virtual GPU is not carried over",
    remedy="Assign a vGPU or GPU group on the pool after the move, where its hardware is supported.",
    source="XCP-ng documentation, compute: vGPU",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
