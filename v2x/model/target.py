# SPDX-License-Identifier: Apache-2.0
"""The nouns of the target side: what a pool offers, and the machine that shall be made there."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from v2x.model.machine import Firmware

FACTS_SCHEMA = "v2x.target-facts/1"


class ImageFormat(StrEnum):
    """The on-disk format of a VDI."""

    VHD = "vhd"
    QCOW2 = "qcow2"
    RAW = "raw"


class UploadFormat(StrEnum):
    """How a disk is sent to a pool. AUTO chooses by the storage repository and the size."""

    AUTO = "auto"
    VHD = "vhd"
    RAW = "raw"
    CHUNKED = "chunked"
    TAR = "tar"
    QCOW2 = "qcow2"


class DeltaFormat(StrEnum):
    """How changes are added to a disk on a pool. AUTO is the way the disk itself was sent."""

    AUTO = "auto"
    CHUNKED = "chunked"


class SecureBoot(StrEnum):
    """The values of platform.secureboot."""

    AUTO = "auto"
    TRUE = "true"
    FALSE = "false"


class Locking(StrEnum):
    """The values of VIF.locking_mode that v2x sets. A disabled card passes no frame, across restarts of the VM."""

    NETWORK_DEFAULT = "network_default"
    UNLOCKED = "unlocked"
    DISABLED = "disabled"


class HaPriority(StrEnum):
    """The values of VM.ha_restart_priority; NONE leaves the VM unprotected."""

    NONE = ""
    BEST_EFFORT = "best-effort"
    RESTART = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetHost:
    """`enabled` is False also while the host is dead, evacuated, updated, or on its way down."""

    uuid: str
    name: str
    address: str
    enabled: bool = True
    cpu_count: int = 0
    cpu_mhz: int = 0
    memory_total_bytes: int = 0
    memory_free_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageRepository:
    """`hosts` are uuids of hosts with a plugged PBD. `prezeroed` is False where VHD streams fail (full raw there)."""

    uuid: str
    name: str
    kind: str
    content_type: str = "user"
    shared: bool = False
    is_default: bool = False
    size_bytes: int = 0
    used_bytes: int = 0
    thin: bool = True
    prezeroed: bool = True
    image_formats: tuple[ImageFormat, ...] = (ImageFormat.VHD,)
    hosts: tuple[str, ...] = ()

    @property
    def free_bytes(self) -> int:
        return max(0, self.size_bytes - self.used_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetNetwork:
    """`hosts` are uuids of hosts with a plugged PIF on it; `vlan` is None for untagged and internal networks.

    `devices` maps a host's uuid to the interface there that carries it (eth0, bond0); empty for an internal network.
    `carrier` is the uuid of the untagged network of the same interfaces: its own where it is that one. `is_bond` says
    that those interfaces are bonds; `in_bond`, that they are members of one and carry nothing themselves.
    """

    uuid: str
    name: str
    bridge: str = ""
    vlan: int | None = None
    mtu: int = 1500
    hosts: tuple[str, ...] = ()
    is_management: bool = False
    devices: dict[str, str] = field(default_factory=dict)
    carrier: str = ""
    is_bond: bool = False
    in_bond: bool = False

    @property
    def is_uplink(self) -> bool:
        """Whether it is the untagged network of interfaces that VLANs can go over."""
        return bool(self.carrier) and self.carrier == self.uuid and not self.in_bond

    @property
    def device_names(self) -> str:
        """The interfaces in words: `eth0`, or `eth0, eth1` where the hosts differ."""
        return ", ".join(sorted(set(self.devices.values())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    reference_label: str
    name: str
    uuid: str
    firmware: Firmware = Firmware.BIOS
    boot_order: str = "cd"
    platform: dict[str, str] = field(default_factory=dict)
    recommendations: str = ""
    memory_static_min_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedMac:
    mac: str
    machine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """A machine that an earlier run of v2x finished there; `tag` is that migration's."""

    tag: str
    machine: str
    uuid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """Everything that checks and defaults need to know of a target; saved with a plan."""

    kind: str
    address: str
    taken_at: datetime
    product: str = ""
    version: str = ""
    xapi_version: str = ""
    pool_uuid: str = ""
    pool_name: str = ""
    hosts: tuple[TargetHost, ...] = ()
    storage: tuple[StorageRepository, ...] = ()
    networks: tuple[TargetNetwork, ...] = ()
    templates: tuple[Template, ...] = ()
    machine_names: tuple[str, ...] = ()
    macs: tuple[UsedMac, ...] = ()
    migrated: tuple[Migrated, ...] = ()
    secure_boot_certificates: bool = False
    vtpm_supported: bool = True
    qcow2_import: bool = False
    vif_trunks: bool = False
    schema: str = FACTS_SCHEMA


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDisk:
    """One VDI to make and its VBD. `source_disk` is the id of the disk on the source machine."""

    source_disk: str
    name: str
    description: str
    sr: str
    size_bytes: int
    device: str
    bootable: bool = False
    image_format: ImageFormat = ImageFormat.VHD
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetNic:
    """One VIF; `mac` empty means a new address, `network` is a uuid (or a name, in an offline XVA).

    `trunks` are the only VLANs whose tagged frames reach the guest; empty means no such limit.
    """

    source_position: int
    device: str
    network: str
    network_name: str
    mac: str = ""
    mtu: int = 1500
    trunks: tuple[int, ...] = ()
    locking: Locking = Locking.NETWORK_DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class StartGroup:
    """A place in a VM_appliance. `key` tells the source's group from another of the same name."""

    name: str
    key: str
    order: int = 0
    start_delay_seconds: int = 0
    shutdown_delay_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetMachine:
    """The machine to make, in XAPI's terms. `rows` are ids of the mapping rows that led to it.

    `memory_bytes` becomes all of static and dynamic max and dynamic min, and static min too where
    `memory_static_min_bytes` is 0. `platform` is complete. `tags`, `start_group`, `ha_priority`, `is_template` and
    `resource_set` (an id of Xen Orchestra) are set when the machine is whole. `generation_id` empty is none, `0:0` a
    fresh one at the first start. `affinity` is a host's uuid. `uuid` is the wanted SMBIOS and VM uuid, which only an
    XVA can bring.
    """

    source_id: str
    name: str
    description: str
    firmware: Firmware
    secure_boot: SecureBoot
    vtpm: bool
    vcpus: int
    memory_bytes: int
    platform: dict[str, str]
    boot_order: str
    template: str
    template_name: str = ""
    cores_per_socket: int | None = None
    recommendations: str = ""
    tags: tuple[str, ...] = ()
    disks: tuple[TargetDisk, ...] = ()
    nics: tuple[TargetNic, ...] = ()
    cd_device: str = ""
    other_config: dict[str, str] = field(default_factory=dict)
    bios_strings: dict[str, str] = field(default_factory=dict)
    auto_start: bool = False
    memory_static_min_bytes: int = 0
    vcpus_params: dict[str, str] = field(default_factory=dict)
    generation_id: str = "0:0"
    affinity: str = ""
    ha_priority: HaPriority = HaPriority.NONE
    start_group: StartGroup | None = None
    is_template: bool = False
    resource_set: str = ""
    uuid: str = ""
    rows: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
