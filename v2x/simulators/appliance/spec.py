# SPDX-License-Identifier: Apache-2.0
"""What an appliance is to be made of: the same record for every exporter and for a folder with a .vmx."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from v2x.model.machine import DiskBus, Firmware, NicModel
from v2x.model.units import GIB


class Exporter(StrEnum):
    """Whose envelope is imitated."""

    VMWARE = "vmware"
    VIRTUALBOX = "virtualbox"
    OVIRT = "ovirt"
    XENSERVER = "xenserver"


class Digest(StrEnum):
    """The digest of a manifest; EXPORTER is the one that the exporter uses by itself, NONE leaves the manifest out."""

    EXPORTER = "exporter"
    NONE = "none"
    SHA1 = "SHA1"
    SHA256 = "SHA256"
    SHA512 = "SHA512"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpec:
    """A disk with the content of the raw file `raw`, at `unit` of the `controller`th controller of its bus.

    `controller_model` is the exporter's own word; empty gives its usual one for the bus. `compression` gzip makes the
    file inside the appliance gzip-compressed and says so, which few products write and fewer read.
    """

    raw: Path
    bus: DiskBus = DiskBus.SCSI
    controller: int = 0
    unit: int = 0
    controller_model: str = ""
    compression: Literal["", "gzip"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NicSpec:
    """A network adapter; `generated` marks a MAC that the source hypervisor chose, as opposed to an administrator."""

    network: str = "VM Network"
    mac: str = ""
    model: NicModel = NicModel.VMXNET3
    connected: bool = True
    generated: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplianceSpec:
    """One virtual machine. `vmware_os` is a vSphere guest id, `cim_os` the number in DMTF's list, `virtualbox_os` and
    `ovirt_os` those products' names: each exporter writes its own.
    """

    name: str
    disks: tuple[DiskSpec, ...] = ()
    nics: tuple[NicSpec, ...] = ()
    firmware: Firmware = Firmware.BIOS
    secure_boot: bool = False
    vtpm: bool = False
    cpus: int = 1
    cores_per_socket: int = 1
    memory_bytes: int = 1 * GIB
    cd_drives: int = 0
    annotation: str = ""
    vmware_os: str = "debian12_64Guest"
    cim_os: int = 96
    os_name: str = "Debian GNU/Linux 12 (64-bit)"
    virtualbox_os: str = "Debian12_64"
    ovirt_os: str = "debian_9"
    hardware_version: int = 19
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedDisk:
    """A disk as a file of the appliance: what the envelope says about it."""

    spec: DiskSpec
    file_id: str
    disk_id: str
    href: str
    size_bytes: int
    capacity_bytes: int
    populated_bytes: int
    compression: str = ""
