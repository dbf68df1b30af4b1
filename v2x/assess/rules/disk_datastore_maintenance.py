# SPDX-License-Identifier: Apache-2.0
"""A datastore in maintenance."""

from collections.abc import Iterator

from v2x.assess.context import Context, disk_name
from v2x.assess.needs import LOOK_AT_THE_SOURCE
from v2x.assess.rule import MachineRule, Remark, Said, Unknown
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    for disk in context.machine.disks:
        store = context.estate.datastores.get(disk.datastore)
        if store is not None and store.maintenance.casefold() not in ("", "normal"):
            yield Remark(f"Datastore “{disk.datastore}” is in “{store.maintenance}”.", disk_name(disk))
        elif disk.datastore and (store is None):
            yield Unknown("The source does not tell the state of some datastores.", LOOK_AT_THE_SOURCE)


RULE = MachineRule(
    id="disk.datastore-maintenance",
    severity=Severity.WARNING,
    label="A disk is on a datastore in maintenance",
    remedy="End the maintenance before the move: the disk may be moved away in mid-copy.",
    source="vSphere API: DatastoreSummary.accessible and maintenanceMode",
    sources=frozenset({"rvtools", "vsphere"}),
    check=check,
)
