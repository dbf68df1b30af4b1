# SPDX-License-Identifier: Apache-2.0
"""Export leases: initializing, ready, done or error, and a clock that ends those that nobody keeps alive."""

import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim, vmodl

from v2x.simulators.vsphere.disks.guest import GuestDisk
from v2x.simulators.vsphere.disks.layer import Layer
from v2x.simulators.vsphere.disks.stream import GRAIN, stream_optimized
from v2x.simulators.vsphere.estate.files import disks_of, split
from v2x.simulators.vsphere.state import Context, State
from v2x.simulators.vsphere.store import ABSENT, Entity

_POLL_SECONDS = 0.1


@dataclass(slots=True)
class Lease:
    """A lease on a machine's disks as they were. `files` are what its URLs lead to, by name."""

    moid: str
    entity: Entity
    machine: Entity
    host: str
    files: dict[str, "LeasedDisk"]
    nvram: bytes
    """The content of the file that newer servers list beside the disks."""
    deadline: float
    progress: int = 0

    @property
    def ready(self) -> bool:
        return bool(self.entity.values["state"] == "ready")


@dataclass(slots=True)
class LeasedDisk:
    """A disk that a lease exports, and what its last complete transfer was."""

    key: str
    name: str
    disk: GuestDisk
    layer: Layer
    sent_bytes: int = 0
    sha1: str = ""

    def stream(self) -> Iterator[bytes]:
        return stream_optimized(self.layer.size_bytes, self.disk.pieces(self.layer, GRAIN), self.name)


def open_lease(context: Context, machine: Entity, snapshot: Entity | None) -> Any:
    """A lease on the machine as it is, or as a snapshot keeps it; it becomes ready a little later."""
    state, store = context.state, context.store
    moid = f"session[{context.session.key}]{secrets.token_hex(8)}"
    disks = disks_of(state, machine)
    layers = snapshot.values["_layers"] if snapshot is not None else {k: d.top for k, d in disks.items()}
    config = (snapshot or machine).values["config"]
    files = {}
    for number, device in enumerate(d for d in config.hardware.device if d.key in layers):
        name = f"disk-{number}.vmdk"
        disk = disks[device.key]
        files[name] = LeasedDisk(_export_key(config, device), name, disk, layers[device.key])
    made = store.add(
        vim.HttpNfcLease,
        moid,
        state=vim.HttpNfcLease.State("initializing"),
        initializeProgress=0,
        transferProgress=0,
        mode="pushOrGet",
        capabilities=vim.HttpNfcLease.Capabilities(pullModeSupported=False, corsSupported=False),
    )
    host = store.value(machine, "runtime").host._moId
    deadline = time.monotonic() + state.settings.lease_delay + state.settings.lease_timeout
    lease = Lease(moid, made, machine, host, files, _nvram(state, machine), deadline)
    state.leases[moid] = lease
    threading.Thread(target=_life, args=(state, lease), name="lease", daemon=True).start()
    return made.ref


def _nvram(state: State, machine: Entity) -> bytes:
    """What the machine's .nvram file holds; nothing before 7.0, whose leases leave it out."""
    if int(state.profile.version[0]) < 7:
        return b""
    config = state.store.value(machine, "config")
    name, inside = split(config.files.vmPathName)
    for ref in state.store.value(machine, "datastore"):
        if state.store.get(ref).values["summary"].name == name:
            path = (state.places.root(ref._moId) / inside).with_suffix(".nvram")
            return path.read_bytes() if path.is_file() else b""
    return b""


def _export_key(config: Any, device: Any) -> str:
    """`ParaVirtualSCSIController0:0`: the controller's type and bus, and the unit."""
    controller = next(d for d in config.hardware.device if d.key == device.controllerKey)
    return f"{type(controller).__name__.rpartition('.')[2]}{controller.busNumber}:{device.unitNumber}"


def _life(state: State, lease: Lease) -> None:
    """Makes the lease ready, then ends it when nobody kept it alive."""
    state.stopping.wait(state.settings.lease_delay)
    names = (lease.machine.moid, lease.machine.values["name"])
    if state.faults.take("lease_error", *names):
        fault = vim.fault.FileFault(file="", msg="Failed to open the disk for export.")
        end(state, lease, "error", fault)
        return
    with state.store.lock:
        if lease.moid not in state.leases:
            return
        values = lease.entity.values
        values["info"], values["initializeProgress"] = _info(state, lease), 100
        state.store.set(lease.entity, state=vim.HttpNfcLease.State("ready"))
    while lease.moid in state.leases and not state.stopping.is_set():
        if time.monotonic() > lease.deadline:
            end(state, lease, "error", vim.fault.Timedout(msg="The lease has timed out."))
            return
        if state.store.value(lease.machine, "runtime").host._moId != lease.host or lease.host in state.closed_hosts:
            end(state, lease, "error", vmodl.fault.HostNotReachable(msg="The host of the export is gone."))
            return
        state.stopping.wait(_POLL_SECONDS)


def _info(state: State, lease: Lease) -> Any:
    star = state.settings.lease_star or not state.profile.vcenter
    where = "*" if star else f"127.0.0.1:{state.ports[lease.host]}"
    thumbprint = state.thumbprints[lease.host]
    urls = [
        vim.HttpNfcLease.DeviceUrl(
            key=f"/{lease.machine.moid}/{each.key}",
            importKey=f"/{lease.machine.values['name']}/{each.key}",
            url=f"https://{where}/nfc/{lease.moid.rpartition(']')[2]}/{name}",
            sslThumbprint=thumbprint,
            disk=True,
            targetId=name,
            fileSize=_told_size(state, each),
        )
        for name, each in lease.files.items()
    ]
    if lease.nvram:
        urls.append(
            vim.HttpNfcLease.DeviceUrl(
                key=f"/{lease.machine.moid}/nvram",
                importKey=f"/{lease.machine.values['name']}/nvram",
                url=f"https://{where}/nfc/{lease.moid.rpartition(']')[2]}/nvram",
                sslThumbprint=thumbprint,
                disk=False,
                targetId="nvram",
            )
        )
    return vim.HttpNfcLease.Info(
        lease=lease.entity.ref,
        entity=lease.machine.ref,
        deviceUrl=urls,
        totalDiskCapacityInKB=sum(f.layer.size_bytes for f in lease.files.values()) // 1024,
        leaseTimeout=int(state.settings.lease_timeout),
        hostMap=[
            vim.HttpNfcLease.DatastoreLeaseInfo(
                datastoreKey=_datastore(state, lease),
                hosts=[vim.HttpNfcLease.HostInfo(url=f"https://{where}/", sslThumbprint=thumbprint)],
            )
        ],
    )


def _told_size(state: State, each: LeasedDisk) -> int | None:
    """Real servers leave the size out, or say one that is wrong: with no error set it is left out."""
    error = state.settings.lease_size_error
    return sum(n for _, n in each.disk.allocated(each.layer)) + error if error else None


def _datastore(state: State, lease: Lease) -> str:
    path = state.store.value(lease.machine, "config").files.vmPathName
    name, _ = split(path)
    for ref in state.store.value(lease.machine, "datastore"):
        summary = state.store.get(ref).values["summary"]
        if summary.name == name:
            return str(summary.url)
    return name


def end(state: State, lease: Lease, outcome: str, fault: Any = None) -> None:
    """The lease is over: its URLs lead nowhere from now on."""
    with state.store.lock:
        if state.leases.pop(lease.moid, None) is None:
            return
        error = fault if fault is not None else ABSENT
        state.store.set(lease.entity, state=vim.HttpNfcLease.State(outcome), error=error)
        why = type(fault).__name__.rpartition(".")[2] if fault is not None else ""
        state.ledger.record_effect("lease ended", lease.machine.moid, lease=lease.moid, outcome=outcome, why=why)


def by_path(state: State, ticket: str) -> Lease | None:
    """The lease whose URLs hold this ticket, while it is ready."""
    for lease in list(state.leases.values()):
        if lease.moid.endswith(f"]{ticket}") and lease.ready:
            return lease
    return None
