# SPDX-License-Identifier: Apache-2.0
"""The files of a machine, and what its configuration says of them."""

import re
from pathlib import Path
from typing import Any

from pyVmomi import vim

from v2x.simulators.vsphere.disks.descriptor import descriptor, new_cid
from v2x.simulators.vsphere.disks.guest import GuestDisk
from v2x.simulators.vsphere.disks.layer import Layer
from v2x.simulators.vsphere.estate.devices import ADAPTER
from v2x.simulators.vsphere.estate.storage import sparse_kind
from v2x.simulators.vsphere.state import State
from v2x.simulators.vsphere.store import Entity

_PATH = re.compile(r"\[(?P<datastore>[^\]]*)\] ?(?P<path>.*)")
_Disk = vim.vm.device.VirtualDisk


def split(path: str) -> tuple[str, str]:
    """Datastore and path of `[datastore] folder/file`. ValueError for anything else."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise ValueError(f"{path!r} is no datastore path")
    return found["datastore"], found["path"]


def place_of(state: State, backing: Any) -> Path:
    """Where the file of a disk's backing is; a borrowed disk may lie on another datastore than the backing says."""
    name, path = split(backing.fileName)
    datastore = backing.datastore
    if datastore is None or state.store.get(datastore).values["summary"].name != name:
        datastore = next(d.ref for d in state.store.all(vim.Datastore) if d.values["summary"].name == name)
    return state.places.root(datastore._moId) / path


def disk_of_path(state: State, path: str) -> GuestDisk | None:
    """The disk at a `[datastore] path`; of datastores with the same name the first that has it."""
    name, inside = split(path)
    for each in state.store.all(vim.Datastore):
        if each.values["summary"].name == name:
            found = state.places.disk_at(state.places.root(each.moid) / inside)
            if found is not None:
                return found
    return None


def make_disk(state: State, device: Any, bus: str, owner: str) -> GuestDisk:
    """A new disk with empty files where the device's backing says, of the machine with the id `owner`."""
    backing = device.backing
    path = place_of(state, backing)
    datastore = state.store.get(backing.datastore)
    made = GuestDisk(
        path,
        state.places.root(datastore.moid),
        device.capacityInBytes,
        thin=bool(backing.thinProvisioned),
        sparse=sparse_kind(datastore) == "seSparse",
        adapter=ADAPTER[bus],
        owner=owner,
        objects=state.folder / "datastores" / "objects" if datastore.values["_kind"] == "vsan" else None,
    )
    made.uuid = backing.uuid.lower()
    state.places.keep(made)
    return made


def bus_of(device: Any) -> str:
    """The bus of a disk by its key."""
    return (
        "ide"
        if 3000 <= device.key < 4000
        else "scsi"
        if device.key < 3000
        else "sata"
        if device.key < 31000
        else "nvme"
    )


def disks_of(state: State, machine: Entity) -> dict[int, GuestDisk]:
    """The disks of a machine by device key; those of a machine made by the thousand get files when first asked for."""
    with state.store.lock:
        known = state.disks.get(machine.moid)
        if known is None:
            config = state.store.own(machine, "config")
            known = state.disks[machine.moid] = {}
            for device in config.hardware.device:
                if isinstance(device, _Disk) and isinstance(device.backing, _Disk.FlatVer2BackingInfo):
                    disk = known[device.key] = make_disk(state, device, bus_of(device), machine.moid)
                    disk.tracker.wanted = disk.tracker.active = bool(config.changeTrackingEnabled)
                    state.places.run(disk, machine.moid, machine.values["runtime"].powerState == "poweredOn")
            show_backings(state, machine, known)
        return known


def write_mapping(state: State, device: Any) -> None:
    """The pointer file of a raw device mapping; the LUN behind it is not in the datastore."""
    path = place_of(state, device.backing)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = device.backing.compatibilityMode
    extent = f"{path.stem}-{'rdmp' if kind == 'physicalMode' else 'rdm'}.vmdk"
    text = descriptor(kind, device.capacityInBytes, extent, cid=new_cid(), uuid=device.backing.uuid.lower())
    path.write_text(text, encoding="utf-8")
    path.with_name(extent).write_bytes(b"")


def write_configuration(state: State, machine: Entity, datastore: Entity, directory: str) -> None:
    """The .vmx, .nvram and .vmsd beside the disks."""
    root = state.places.root(datastore.moid) / directory
    root.mkdir(parents=True, exist_ok=True)
    config = machine.values["config"]
    lines = {
        ".encoding": "UTF-8",
        "config.version": "8",
        "virtualHW.version": config.version.removeprefix("vmx-"),
        "displayName": machine.values["name"],
        "guestOS": config.guestId,
        "firmware": config.firmware,
        "numvcpus": str(config.hardware.numCPU),
        "memSize": str(config.hardware.memoryMB),
        "uuid.bios": config.uuid,
        "vc.uuid": config.instanceUuid,
        **{o.key: o.value for o in config.extraConfig},
    }
    _, path = split(config.files.vmPathName)
    text = "".join(f'{name} = "{value}"\n' for name, value in lines.items())
    (state.places.root(datastore.moid) / path).write_text(text, encoding="utf-8")
    (root / f"{directory}.nvram").write_bytes(b"MRVN" + bytes(8188))
    (root / f"{directory}.vmsd").write_text('.encoding = "UTF-8"\n', encoding="utf-8")


def show_backings(state: State, machine: Entity, disks: dict[int, GuestDisk]) -> None:
    """Makes the configuration say where the disks are now."""
    config = machine.values["config"]
    for device in config.hardware.device:
        disk = disks.get(device.key)
        if disk is None:
            continue
        borrowed = "nonpersistent" in device.backing.diskMode and disk.shown(disk.top) not in device.backing.fileName
        if not borrowed:
            device.backing = backing_at(disk, disk.top, device.backing, disk.tracker.change_id)
        device.capacityInBytes = disk.size_bytes
        device.capacityInKB = disk.size_bytes // 1024
    state.store.touch(machine)


def backing_at(disk: GuestDisk, layer: Layer, like: Any, change_id: str) -> Any:
    """The backing that shows `layer` and its parents; mode, sharing and keys are those of `like`."""
    name, _ = split(like.fileName)
    made = _Disk.FlatVer2BackingInfo(
        fileName=f"[{name}] {disk.shown(layer)}",
        datastore=like.datastore,
        diskMode=like.diskMode,
        split=False,
        writeThrough=False,
        thinProvisioned=like.thinProvisioned,
        eagerlyScrub=like.eagerlyScrub,
        uuid=like.uuid,
        contentId=like.contentId,
        sharing=like.sharing,
        keyId=like.keyId,
    )
    if change_id:
        made.changeId = change_id
    if layer.parent is not None:
        made.parent = backing_at(disk, layer.parent, like, "")
        made.deltaDiskFormat = disk.delta_format(layer)
    return made
