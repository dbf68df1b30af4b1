# SPDX-License-Identifier: Apache-2.0
"""A machine's snapshots: the tree that the API shows, and the layers of disks that each of them keeps."""

import copy
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from pyVmomi import vim

from v2x.simulators.vsphere.disks.guest import GuestDisk
from v2x.simulators.vsphere.disks.layer import Layer
from v2x.simulators.vsphere.estate.files import backing_at, disks_of, show_backings
from v2x.simulators.vsphere.state import State
from v2x.simulators.vsphere.store import ABSENT, Entity

_Disk = vim.vm.device.VirtualDisk


def tree_nodes(info: Any) -> Iterator[Any]:
    """All nodes of a SnapshotInfo, parents first."""
    todo = list(info.rootSnapshotList) if info is not ABSENT else []
    while todo:
        node = todo.pop(0)
        yield node
        todo.extend(node.childSnapshotList)


def has_snapshots(state: State, machine: Entity) -> bool:
    return state.store.value(machine, "snapshot") is not ABSENT


def snapshottable(machine: Entity, disks: dict[int, GuestDisk]) -> dict[int, GuestDisk]:
    """The disks that a snapshot includes: neither independent ones nor those of other machines."""
    devices = machine.values["config"].hardware.device
    modes = {d.key: getattr(d.backing, "diskMode", "") for d in devices if isinstance(d, _Disk)}
    return {
        key: disk
        for key, disk in disks.items()
        if disk.owner == machine.moid and not modes.get(key, "").startswith("independent")
    }


def take(
    state: State, machine: Entity, name: str, description: str, *, quiesced: bool, at: datetime | None = None
) -> Any:
    """Freezes the disks and adds the snapshot below the current one; returns its reference."""
    store = state.store
    disks = snapshottable(machine, disks_of(state, machine))
    layers, points = {}, {}
    with ExitStack() as stunned:
        for disk in disks.values():
            stunned.enter_context(disk.lock)
        for key, disk in disks.items():
            layers[key] = disk.freeze()
            points[key] = disk.tracker.mark()
    number = store.next_id("snapshot-")
    moid = number if state.profile.vcenter else f"{machine.moid}-{number}"
    show_backings(state, machine, disks_of(state, machine))
    config = copy.deepcopy(store.own(machine, "config"))
    made = store.add(
        vim.vm.Snapshot,
        moid,
        config=config,
        vm=machine.ref,
        childSnapshot=vim.vm.Snapshot.Array([]),
        _layers=layers,
        _points=points,
        _machine=machine,
    )
    node = vim.vm.SnapshotTree(
        snapshot=made.ref,
        vm=machine.ref,
        name=name,
        description=description,
        id=int(number.removeprefix("snapshot-")),
        createTime=at or datetime.now(UTC),
        state=machine.values["runtime"].powerState,
        quiesced=quiesced,
        replaySupported=False,
    )
    _hang(state, machine, node)
    show(state, made)
    state.ledger.record_effect("snapshot taken", machine.moid, snapshot=moid, name=name)
    return made.ref


def _hang(state: State, machine: Entity, node: Any) -> None:
    info = state.store.value(machine, "snapshot")
    if info is ABSENT:
        info = machine.values["snapshot"] = vim.vm.SnapshotInfo()
    current = info.currentSnapshot
    home = next((n for n in tree_nodes(info) if current is not None and n.snapshot._moId == current._moId), None)
    (home.childSnapshotList if home is not None else info.rootSnapshotList).append(node)
    if home is not None:
        state.store.get(home.snapshot).values["childSnapshot"].append(node.snapshot)
    info.currentSnapshot = node.snapshot
    state.store.touch(machine)


def all_of(state: State, machine: Entity) -> list[Entity]:
    return [state.store.get(n.snapshot) for n in tree_nodes(state.store.value(machine, "snapshot"))]


def remove(state: State, snapshot: Entity, children: bool) -> None:
    """Takes a snapshot (and those below it) out of the tree; the files stay until `consolidate`."""
    machine = snapshot.values["_machine"]
    info = machine.values["snapshot"]
    node = next(n for n in tree_nodes(info) if n.snapshot._moId == snapshot.moid)
    parent = next((n for n in tree_nodes(info) if node in list(n.childSnapshotList)), None)
    siblings = parent.childSnapshotList if parent is not None else info.rootSnapshotList
    gone = [node]
    if children:
        for each in gone:
            gone.extend(each.childSnapshotList)
    else:
        siblings.extend(node.childSnapshotList)
    siblings.remove(node)
    ids = {n.snapshot._moId for n in gone}
    if info.currentSnapshot is not None and info.currentSnapshot._moId in ids:
        info.currentSnapshot = parent.snapshot if parent is not None else None
    for moid in ids:
        entity = state.store.find(moid)
        if entity is not None:
            state.store.remove(entity)
    for each in tree_nodes(info):
        kept = state.store.get(each.snapshot)
        kept.values["childSnapshot"] = vim.vm.Snapshot.Array([c.snapshot for c in each.childSnapshotList])
    if not info.rootSnapshotList:
        del machine.values["snapshot"]
    state.store.touch(machine)
    state.ledger.record_effect("snapshot removed", machine.moid, snapshots=sorted(ids))


def consolidate(state: State, machine: Entity) -> int:
    """Merges every layer that no snapshot keeps; returns how many files went."""
    disks = disks_of(state, machine)
    kept = all_of(state, machine)
    merged = 0
    for key, disk in disks.items():
        if disk.owner != machine.moid:
            continue
        with disk.lock:
            while (step := _step(key, disk, kept)) is not None:
                merged += step
            disk.describe(disk.top)
    machine.values["runtime"].consolidationNeeded = False
    show_backings(state, machine, disks)
    for each in kept:
        show(state, each)
    state.ledger.record_effect("disks consolidated", machine.moid, files=merged)
    return merged


def _step(key: int, disk: GuestDisk, kept: list[Entity]) -> int | None:
    """One merge, or one removal of a layer that nothing needs; None when all is as it should be."""
    needed = [s.values["_layers"].get(key) for s in kept]
    for layer in list(disk.layers):
        if layer is disk.top or any(layer is n for n in needed):
            continue
        above = disk.children(layer)
        if not above:
            disk.drop(layer)
            return 1
        if len(above) == 1:
            _merge(key, disk, above[0], kept)
            return 1
    return None


def _merge(key: int, disk: GuestDisk, child: Layer, kept: list[Entity]) -> None:
    into = disk.merge(child)
    for each in kept:
        if each.values["_layers"].get(key) is child:
            each.values["_layers"][key] = into


def show(state: State, snapshot: Entity) -> None:
    """Makes the snapshot's configuration say which files it keeps now."""
    disks = disks_of(state, snapshot.values["_machine"])
    for device in snapshot.values["config"].hardware.device:
        layer = snapshot.values["_layers"].get(device.key)
        if layer is not None and device.key in disks:
            point = snapshot.values["_points"][device.key]
            device.backing = backing_at(disks[device.key], layer, device.backing, point)


def revert(state: State, snapshot: Entity) -> None:
    """The machine's disks become what they were; what was written since is gone."""
    machine = snapshot.values["_machine"]
    disks = disks_of(state, machine)
    for key, layer in snapshot.values["_layers"].items():
        disks[key].branch(layer)
    machine.values["snapshot"].currentSnapshot = snapshot.ref
    show_backings(state, machine, disks)
    state.ledger.record_effect("reverted", machine.moid, snapshot=snapshot.moid)
