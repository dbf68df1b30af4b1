# SPDX-License-Identifier: Apache-2.0
"""A disk that is on no datastore."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import LISTED
from v2x.assess.rule import MachineRule, Remark
from v2x.model.finding import Severity
from v2x.model.machine import DiskBacking


def check(context: Context) -> Iterator[Remark]:
    for disk in context.machine.disks:
        if not disk.datastore and disk.backing is DiskBacking.FILE:
            yield Remark("There is no path to read it from.", disk_name(disk))


RULE = MachineRule(
    id="disk.no-datastore",
    severity=Severity.BLOCKER,
    label="A disk is on no datastore that the source names",
    remedy="Detach the disk, or bring its datastore back, then assess again.",
    source="vSphere API: VirtualDeviceFileBackingInfo.datastore; Forklift: datastore",
    always_known=LISTED,
    sources=frozenset({"vsphere"}),
    check=check,
)
