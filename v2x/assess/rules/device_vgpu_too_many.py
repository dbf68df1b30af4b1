# SPDX-License-Identifier: Apache-2.0
"""More virtual GPUs than a machine can have."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    count = sum(device.kind == "vgpu" for device in context.machine.devices)
    limit = context.limit("vgpus_max")
    if count > limit:
        yield Remark(f"{count} virtual GPUs; at most {limit} are possible.")


RULE = MachineRule(
    id="device.vgpu-too-many",
    severity=Severity.WARNING,
    label="More virtual GPUs than XCP-ng gives a machine",
    remedy="Give the machine fewer, larger ones.",
    source="XCP-ng documentation, installation requirements: 8 vGPUs",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
