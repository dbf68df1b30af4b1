# SPDX-License-Identifier: Apache-2.0
"""Whether a backup product is at a machine just now.

It shows in three ways: a temporary snapshot under a name of such a product, a task on snapshots that is under way, and
a disk of the machine that is attached to another one (hot-added to a proxy). Sources: vSphere API, recentTask and
TaskInfo.descriptionId; the names are those that the products are publicly known for.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from pyVmomi import vim

from v2x.errors import V2xError
from v2x.model.machine import Machine
from v2x.sources.vsphere import snapshots
from v2x.sources.vsphere.failures import GONE, fault_name
from v2x.sources.vsphere.names import decoded
from v2x.sources.vsphere.present import Present, present
from v2x.sources.vsphere.session import VsphereSession

SNAPSHOT_NAMES: Final = re.compile(
    r"veeam backup temporary|consolidate helper|nbu_snapshot|_vrpg-|backupexec|commvault|nakivo", re.I
)
LEFT_BEHIND: Final = timedelta(days=3)
"""A backup's snapshot that is older belongs to no run any more: it was left, and is for a person to remove."""
_TASKS: Final = re.compile(r"snapshot|consolidate", re.I)
_AT_WORK: Final = frozenset({"running", "queued"})
_PATHS: Final = ("snapshot", "recentTask", "config.hardware.device", "datastore")


def running(session: VsphereSession, machine: Machine) -> tuple[str, ...]:
    """What shows that one runs, in words; empty where nothing does."""
    now = present(session, machine, _PATHS)
    return (*_snapshots(session, now), *_tasks(session, now), *_borrowers(session, machine, now))


def _snapshots(session: VsphereSession, now: Present) -> Iterator[str]:
    held = [
        one
        for one in snapshots.walk(now.values.get("snapshot"))
        if not one.tag and SNAPSHOT_NAMES.search(f"{one.name}\n{one.description}")
    ]
    if not held:
        return
    at: datetime = session.read(vim.ServiceInstance("ServiceInstance", session.stub).CurrentTime)
    for one in held:
        if one.time is None or at - one.time < LEFT_BEHIND:
            yield f"a backup keeps the snapshot “{decoded(one.name)}”"


def _tasks(session: VsphereSession, now: Present) -> Iterator[str]:
    for task in now.values.get("recentTask") or []:
        try:
            found = list(session.retrieve(vim.Task, ["info.state", "info.descriptionId"], objects=[task]))
        except V2xError as problem:
            if fault_name(problem.__cause__) not in GONE:
                raise
            continue
        for one in found:
            what = str(one.values.get("info.descriptionId") or "")
            if str(one.values.get("info.state")) in _AT_WORK and _TASKS.search(what):
                yield f"the task {what} is under way at the source"


def _borrowers(session: VsphereSession, machine: Machine, now: Present) -> Iterator[str]:
    """Other machines that hold a disk of this one. Disks that are shared on purpose do not count."""
    shared = {disk.id for disk in machine.disks if disk.shared or disk.lent_by}
    own = {file for key, device in _disks(now.values) if key not in shared for file in _chain(device.backing)}
    stores = list(now.values.get("datastore") or [])
    if not own or not stores:
        return
    near = {
        one._GetMoId(): one
        for found in session.retrieve(vim.Datastore, ["vm"], objects=stores)
        for one in found.values.get("vm") or []
    }
    near.pop(now.reference._GetMoId(), None)
    if not near:
        return
    paths = ["name", "config.hardware.device"]
    for found in session.retrieve(vim.VirtualMachine, paths, objects=list(near.values())):
        if any(_borrowed(device.backing, own) for _, device in _disks(found.values)):
            yield f"a disk of it is attached to {decoded(str(found.values.get('name') or found.id))}"


def _borrowed(backing: Any, own: set[str]) -> bool:
    """A linked clone has files of its parent too, but only below a delta of its own, which a proxy throws away."""
    files = _chain(backing)
    passing = str(getattr(backing, "diskMode", "")) == "independent_nonpersistent"
    return any(file in own for file in (files if passing else files[:1]))


def _disks(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for device in values.get("config.hardware.device") or []:
        if isinstance(device, vim.vm.device.VirtualDisk):
            yield str(device.key), device


def _chain(backing: Any) -> list[str]:
    """The files of a disk, the one that is written to first, each with its datastore's id and path."""
    files: list[str] = []
    while backing is not None and len(files) < 64:
        name, store = getattr(backing, "fileName", None), getattr(backing, "datastore", None)
        if name:
            files.append(f"{store._GetMoId() if store is not None else ''} {name}")
        backing = getattr(backing, "parent", None)
    return files
