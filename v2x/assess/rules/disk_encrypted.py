# SPDX-License-Identifier: Apache-2.0
"""An encrypted disk."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import MORE_THAN_RVTOOLS
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        if disk.encrypted:
            yield Remark("Its content cannot be read from outside.", disk_name(disk))


RULE = MachineRule(
    id="disk.encrypted",
    severity=Severity.BLOCKER,
    label="A disk is encrypted by the hypervisor",
    remedy="Decrypt the machine at the source (in vSphere: change the storage policy), then assess again.",
    source="Encrypted disks can be read with the source's own key server only",
    needs=(MORE_THAN_RVTOOLS,),
    check=check,
)
