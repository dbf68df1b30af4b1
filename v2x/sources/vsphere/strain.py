# SPDX-License-Identifier: Apache-2.0
"""What a snapshot costs the source: room on the datastores that its delta files grow on, and its age.

Sources: vSphere API, Datastore.summary (freeSpace as the server knew it last, which may be minutes old),
VirtualMachineSnapshotTree.createTime, ServiceInstance.CurrentTime.
"""

from typing import Any

from pyVmomi import vim

from v2x.model.machine import Machine
from v2x.sources.interface import Strain
from v2x.sources.vsphere import snapshots
from v2x.sources.vsphere.present import present
from v2x.sources.vsphere.session import VsphereSession

_SUMMARY = ("summary.name", "summary.capacity", "summary.freeSpace")


def strain(session: VsphereSession, machine: Machine, tag: str) -> Strain | None:
    """As WatchesSnapshots.strain; None where no datastore of the machine tells its room."""
    now = present(session, machine, ["datastore", "snapshot"])
    stores = list(now.values.get("datastore") or [])
    rooms = (
        []
        if not stores
        else [_room(found.values) for found in session.retrieve(vim.Datastore, _SUMMARY, objects=stores)]
    )
    known = [room for room in rooms if room is not None]
    if not known:
        return None
    name, free, capacity = min(known, key=lambda room: room[1] / room[2])
    ours = next((one for one in snapshots.walk(now.values.get("snapshot")) if one.tag == tag), None)
    age = 0.0
    if ours is not None and ours.time is not None:
        at = session.read(vim.ServiceInstance("ServiceInstance", session.stub).CurrentTime)
        age = max(0.0, (at - ours.time).total_seconds())
    return Strain(datastore=name, free_bytes=free, capacity_bytes=capacity, age_seconds=age)


def _room(values: dict[str, Any]) -> tuple[str, int, int] | None:
    capacity, free = values.get("summary.capacity"), values.get("summary.freeSpace")
    if not capacity or free is None:
        return None
    return str(values.get("summary.name") or ""), int(free), int(capacity)
