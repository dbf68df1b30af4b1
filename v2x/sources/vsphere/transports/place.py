# SPDX-License-Identifier: Apache-2.0
"""Where one disk lies at one point in time: its chain of files, datastore, datacenter and host.

The disk is looked up by its device key in the configuration of the *snapshot* of the checkpoint, never in that of the
machine, whose disks are deltas that still change; only a machine without a checkpoint's snapshot is read itself.
Sources: vSphere API, VirtualDisk.backing (parent, changeId), VirtualMachineSnapshot.config.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from pyVmomi import vim

from v2x.disks.chain import MAX_DEPTH, too_deep
from v2x.errors import BadImage, SourceError, Unsupported
from v2x.model.machine import Disk, Machine
from v2x.sources.interface import Checkpoint
from v2x.sources.vsphere.session import VsphereSession

_PATH: Final = re.compile(r"\[(?P<datastore>[^\]]+)\] ?(?P<path>.+)", re.DOTALL)
_CHANGE_ID: Final = re.compile(r"[0-9a-fA-F][0-9a-fA-F -]{15,63}/[0-9]{1,18}")
_MOST_FOLDERS: Final = 64


@dataclass(frozen=True, slots=True)
class DatastoreFile:
    """`[datastore] folder/name`, as the source writes it."""

    datastore: str
    path: str

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def __str__(self) -> str:
        return f"[{self.datastore}] {self.path}"


@dataclass(frozen=True, slots=True)
class Point:
    """A checkpoint's text for one disk: snapshot, device key, and its change id.

    Without a snapshot the machine is off and read as it lies; the third part then tells its files' state instead.
    """

    snapshot: str
    key: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskPlace:
    """`files` is the chain, the file of the point in time first; `datastores` are kinds (VMFS, NFS, vsan…) by name.

    `datacenter` is the inventory path with folders, in the names as stored (%2f, %5c and %25 encoded), empty on a
    host. `backing` is the type of the disk's backing as the API names it, without package; `address` its place as
    export leases name it (VirtualLsiLogicController0:1). `tracked_before`: change tracking was on when it was listed.
    """

    machine: str
    machine_ref: Any
    snapshot_ref: Any | None
    point: Point
    label: str
    capacity_bytes: int
    files: tuple[DatastoreFile, ...]
    backing: str
    datastores: dict[str, str]
    datacenter: str
    powered_on: bool
    host: str
    address: str
    only_disk: bool
    change_id: str
    encrypted: bool
    committed_bytes: int | None
    tracked_before: bool

    @property
    def key(self) -> int:
        return self.point.key

    @property
    def tracked(self) -> bool:
        """Whether the change id is one: UUID, slash, number. Without one, change tracking did not work."""
        return _CHANGE_ID.fullmatch(self.change_id) is not None

    @property
    def title(self) -> str:
        """The disk in messages."""
        return f"{self.label} of {self.machine}"


def parse_point(text: str) -> Point:
    """`<snapshot>/<key>/<change id or state>`, where the first and last may be empty."""
    snapshot, _, rest = text.partition("/")
    key, _, state = rest.partition("/")
    if not key.isdecimal():
        raise SourceError(f"the checkpoint {text!r} names no disk", hint="run again: it is made anew")
    return Point(snapshot, int(key), state)


def parse_file(text: str) -> DatastoreFile:
    """`[datastore] folder/name.vmdk`. BadImage for anything else."""
    found = _PATH.fullmatch(text)
    if found is None or any(part.strip() in {"", ".", ".."} for part in found["path"].split("/")) or "\0" in text:
        raise BadImage(f"{text!r} is no file on a datastore", hint="list the source again")
    return DatastoreFile(found["datastore"], found["path"])


def place_of(session: VsphereSession, machine: Machine, disk: Disk, at: Checkpoint) -> DiskPlace:
    """Asks the source. SourceError SOURCE-GONE when machine, snapshot or disk are there no more."""
    point = parse_point(at.points.get(disk.id, ""))
    found = vim.VirtualMachine(machine.reference, session.stub)
    paths = ["name", "runtime.powerState", "runtime.host", "config.hardware.device"]
    facts = _properties(session, found, vim.VirtualMachine, paths, machine.name)
    snapshot = vim.vm.Snapshot(point.snapshot, session.stub) if point.snapshot else None
    devices = facts.get("config.hardware.device") or []
    if snapshot is not None:
        devices = _frozen_devices(session, snapshot, machine.name)
    device = _disk(devices, point.key)
    if device is None:
        raise SourceError(
            f"{disk.label} of {machine.name} is not in the {'snapshot' if snapshot else 'machine'} any more",
            code="SOURCE-GONE",
            hint="the machine was changed; list the source and plan again",
        )
    files, stores = _chain(device.backing, f"{disk.label} of {machine.name}")
    host = facts.get("runtime.host")
    return DiskPlace(
        machine=machine.name,
        machine_ref=found,
        snapshot_ref=snapshot,
        point=point,
        label=disk.label,
        capacity_bytes=_capacity(device),
        files=files,
        backing=type(device.backing).__name__.rpartition(".")[2],
        datastores=_kinds(session, stores, machine.name),
        datacenter=_datacenter(session, found) if session.about.is_vcenter else "",
        powered_on=str(facts.get("runtime.powerState")) != "poweredOff",
        host=_name(session, host) if host is not None else machine.host,
        address=_address(device, devices),
        only_disk=sum(isinstance(one, vim.vm.device.VirtualDisk) for one in devices) == 1,
        change_id=point.state if snapshot is not None else str(getattr(device.backing, "changeId", None) or ""),
        encrypted=bool(disk.encrypted or getattr(device.backing, "keyId", None) is not None),
        committed_bytes=disk.allocated_bytes,
        tracked_before=bool(disk.change_tracking),
    )


def files_now(session: VsphereSession, place: DiskPlace) -> tuple[DatastoreFile, ...]:
    """The chain that the snapshot of `place` has by now. SourceError SOURCE-GONE when it is there no more."""
    device = _disk(_frozen_devices(session, place.snapshot_ref, place.machine), place.key)
    if device is None:
        raise _snapshot_gone(place.machine)
    return _chain(device.backing, place.title)[0]


def _frozen_devices(session: VsphereSession, snapshot: Any, name: str) -> list[Any]:
    try:
        for found in session.retrieve(vim.vm.Snapshot, ["config.hardware.device"], objects=[snapshot]):
            return list(found.values.get("config.hardware.device") or [])
    except SourceError as problem:
        if problem.code != "SOURCE-GONE":
            raise
    raise _snapshot_gone(name)


def _snapshot_gone(name: str) -> SourceError:
    return SourceError(
        f"the snapshot of {name} that v2x reads was removed",
        code="SOURCE-GONE",
        hint="find out who removes it; run again: it is taken anew",
    )


def _disk(devices: list[Any], key: int) -> Any | None:
    disks = (one for one in devices if isinstance(one, vim.vm.device.VirtualDisk))
    return next((one for one in disks if one.key == key), None)


def _address(device: Any, devices: list[Any]) -> str:
    controller = next((one for one in devices if one.key == device.controllerKey), None)
    kind = type(controller).__name__.rpartition(".")[2]
    return f"{kind}{getattr(controller, 'busNumber', 0)}:{device.unitNumber or 0}"


def _properties(session: VsphereSession, target: Any, kind: type, paths: list[str], name: str) -> dict[str, Any]:
    for found in session.retrieve(kind, paths, objects=[target]):
        return found.values
    raise SourceError(f"{name} is gone from the source", code="SOURCE-GONE", hint="list the source again")


def _capacity(device: Any) -> int:
    exact = getattr(device, "capacityInBytes", None)
    return int(exact) if exact else int(device.capacityInKB) * 1024


def _chain(backing: Any, title: str) -> tuple[tuple[DatastoreFile, ...], dict[str, Any]]:
    """The files from the top down, and the datastores they lie on by name."""
    files: list[DatastoreFile] = []
    stores: dict[str, Any] = {}
    while backing is not None:
        name = getattr(backing, "fileName", None)
        if not name:
            raise Unsupported(
                f"{title} lies on a device, not in a file", code="RAW-DEVICE", hint="copy it inside the guest"
            )
        if len(files) == MAX_DEPTH:
            raise too_deep(len(files) + 1)
        files.append(parse_file(name))
        if getattr(backing, "datastore", None) is not None:
            stores[files[-1].datastore] = backing.datastore
        backing = getattr(backing, "parent", None)
    return tuple(files), stores


def _kinds(session: VsphereSession, stores: dict[str, Any], name: str) -> dict[str, str]:
    kinds: dict[str, str] = {}
    for shown, store in stores.items():
        kinds[shown] = str(_properties(session, store, vim.Datastore, ["summary.type"], name).get("summary.type") or "")
    return kinds


def _name(session: VsphereSession, entity: Any) -> str:
    for found in session.retrieve(vim.ManagedEntity, ["name"], objects=[entity]):
        return str(found.values.get("name") or "")
    return ""


def _datacenter(session: VsphereSession, entity: Any) -> str:
    """The inventory path of the datacenter that holds `entity`, without the root folder.

    A machine in a vApp has no parent, but a parentVApp, whose own parents lead to the datacenter over its cluster
    (vSphere Web Services API, VirtualMachine.parentVApp).
    """
    names: list[str] = []
    inside = False
    for _ in range(_MOST_FOLDERS):
        is_machine = isinstance(entity, vim.VirtualMachine)
        kind, paths = (vim.VirtualMachine, ["parentVApp"]) if is_machine else (vim.ManagedEntity, [])
        found = next(iter(session.retrieve(kind, ["name", "parent", *paths], objects=[entity])), None)
        if found is None:
            break
        parent = found.values.get("parent") or found.values.get("parentVApp")
        inside = inside or isinstance(entity, vim.Datacenter)
        if inside and parent is not None:
            names.insert(0, str(found.values.get("name") or ""))
        if parent is None:
            return "/".join(names)
        entity = parent
    raise SourceError("the inventory above the machine cannot be seen", hint="grant Read-only at the vCenter's root")
