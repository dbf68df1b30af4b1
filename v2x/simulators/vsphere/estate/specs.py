# SPDX-License-Identifier: Apache-2.0
"""What a machine of the stand-in is to be, for tests and for the seeded estate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpec:
    """A disk. `image` is a raw image whose bytes it takes, and whose size where that is larger than `size_bytes`.

    `bus` is scsi, sata, ide or nvme; `unit` the number on the controller (None: the next free one). `mode` is the
    API's: persistent, independent_persistent, independent_nonpersistent. `rdm` is physicalMode or virtualMode.
    `borrowed` is the `[datastore] path` of another machine's disk that is attached to this one as well.
    """

    size_bytes: int = GIB
    image: Path | None = None
    bus: str = "scsi"
    controller: int = 0
    unit: int | None = None
    mode: str = "persistent"
    thin: bool = True
    eager: bool = False
    shared: bool = False
    rdm: str = ""
    encrypted: bool = False
    datastore: str = ""
    borrowed: str = ""
    filters: Sequence[str] = ()
    iops_limit: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class NicSpec:
    """A network card on the network of this name; `kind` is vmxnet3, e1000, e1000e, vmxnet2, pcnet32 or sriov."""

    network: str = "VM Network"
    kind: str = "vmxnet3"
    mac: str = ""
    manual_mac: bool = False
    connected: bool = True
    start_connected: bool = True
    limit_mbps: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSpec:
    """A snapshot that is there from the start; those of `children` were taken after it."""

    name: str
    description: str = ""
    quiesced: bool = False
    memory: bool = False
    age_days: int = 1
    children: Sequence["SnapshotSpec"] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What a machine is promised and allowed, in MHz or MiB; -1 is no limit, and `shares` of 0 are the usual ones."""

    reservation: int = 0
    limit: int = -1
    shares: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """A machine. Names of places are those that the inventory shows; an empty one means the first there is.

    `tools` is running, not-running, old, or none. `scsi` names the kind of each SCSI controller: pvscsi, lsilogic,
    lsisas or buslogic. `extras` are further devices of the API's types, with keys of their own. `boot` lists what to
    boot from: disk:<number>, nic:<number>, cdrom, floppy. `fields` are custom attributes by name. The guest has its
    address by `dhcp`, or set by hand; `filesystems` are sizes by path, the n-th on the n-th disk. `placeholder` has
    neither disks nor cards, as machines that SRM prepares.
    """

    name: str
    guest_id: str = "ubuntu64Guest"
    guest_name: str = "Ubuntu Linux (64-bit)"
    cpus: int = 2
    cores_per_socket: int = 1
    memory_mib: int = 2048
    hardware: str = "vmx-19"
    firmware: str = "bios"
    secure_boot: bool = False
    vtpm: bool = False
    scsi: Sequence[str] = ("pvscsi",)
    scsi_sharing: str = "noSharing"
    disks: Sequence[DiskSpec] = (DiskSpec(),)
    nics: Sequence[NicSpec] = (NicSpec(),)
    cdrom: str = ""
    floppy: bool = False
    serial: str = ""
    usb: bool = False
    extras: Sequence[Any] = ()
    boot: Sequence[str] = ()
    power: str = "poweredOff"
    tools: str = "running"
    host_name: str = ""
    addresses: Sequence[str] = ()
    gateway: str = ""
    dhcp: bool = False
    filesystems: Mapping[str, int] = field(default_factory=dict)
    annotation: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    extra_config: Mapping[str, str] = field(default_factory=dict)
    template: bool = False
    tracking: bool = False
    encrypted: bool = False
    snapshots: Sequence[SnapshotSpec] = ()
    uuid: str = ""
    instance_uuid: str = ""
    folder: str = ""
    pool: str = ""
    host: str = ""
    datastore: str = ""
    directory: str = ""
    managed_by: tuple[str, str] = ("", "")
    product: tuple[str, str] = ("", "")
    cpu_hot_add: bool = False
    memory_hot_add: bool = False
    memory_locked: bool = False
    cpu: Allocation = Allocation()
    memory: Allocation = Allocation()
    affinity: Sequence[int] = ()
    latency: str = "normal"
    nested: bool = False
    connection: str = "connected"
    placeholder: bool = False
    fault_tolerance: str = "notConfigured"
