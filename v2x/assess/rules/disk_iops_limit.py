# SPDX-License-Identifier: Apache-2.0
"""A limit on a disk."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        if disk.iops_limit:
            yield Remark(f"{disk.iops_limit:,} operations per second.", disk_name(disk))


RULE = MachineRule(
    id="disk.iops-limit",
    severity=Severity.INFO,
    label="Limits on disk operations are not carried over",
    remedy="Set a limit on the new disk if it is still wanted (VBD qos, or on the storage itself).",
    source="vSphere: StorageIOAllocationInfo; Hyper-V: storage QoS; XAPI: VBD.qos_algorithm_params",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
