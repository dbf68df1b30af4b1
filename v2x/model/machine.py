# SPDX-License-Identifier: Apache-2.0
"""The nouns of the source side: a machine, its parts, and where they live.

All records are frozen. Sizes are bytes. A value that the source does not tell is None or an empty string, never a
guess. An enumeration has a member for everything v2x acts on; anything else is kept as `Other(text)`.
"""

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Other:
    """A value of the source for which v2x has no term; `text` is the source's own word."""

    text: str


class Firmware(StrEnum):
    BIOS = "bios"
    UEFI = "uefi"


class PowerState(StrEnum):
    OFF = "off"
    ON = "on"
    SUSPENDED = "suspended"
    UNKNOWN = "unknown"


class DiskBus(StrEnum):
    IDE = "ide"
    SCSI = "scsi"
    SATA = "sata"
    NVME = "nvme"
    USB = "usb"
    VIRTIO = "virtio"
    XEN = "xen"
    UNKNOWN = "unknown"


class DiskFormat(StrEnum):
    """The container format of a disk's files; never found by probing."""

    RAW = "raw"
    VMDK = "vmdk"
    VHD = "vhd"
    VHDX = "vhdx"
    QCOW2 = "qcow2"


class DiskMode(StrEnum):
    PERSISTENT = "persistent"
    INDEPENDENT_PERSISTENT = "independent_persistent"
    INDEPENDENT_NONPERSISTENT = "independent_nonpersistent"


class DiskBacking(StrEnum):
    """What holds the disk's bytes."""

    FILE = "file"
    RAW_DEVICE = "raw_device"
    MISSING = "missing"
    EMPTY = "empty"


class NicModel(StrEnum):
    E1000 = "e1000"
    E1000E = "e1000e"
    VMXNET = "vmxnet"
    VMXNET2 = "vmxnet2"
    VMXNET3 = "vmxnet3"
    PCNET32 = "pcnet32"
    RTL8139 = "rtl8139"
    VIRTIO = "virtio"
    SRIOV = "sriov"
    SYNTHETIC = "synthetic"
    LEGACY = "legacy"
    NETFRONT = "netfront"
    UNKNOWN = "unknown"


class ToolsState(StrEnum):
    RUNNING = "running"
    INSTALLED = "installed"
    MISSING = "missing"
    UNKNOWN = "unknown"


class Estate(StrEnum):
    """What a machine is to its estate, where it is not simply somebody's server."""

    CLUSTER_SERVICE = "cluster_service"
    APPLIANCE = "appliance"
    PLACEHOLDER = "placeholder"
    BACKUP_REPLICA = "backup_replica"
    BACKUP_PROXY = "backup_proxy"


class GuestIdKind(StrEnum):
    """The vocabulary a guest operating system id belongs to; a key of mappings/guest_os.toml."""

    VMWARE = "vmware"
    CIM = "cim"
    HYPERV = "hyperv"
    LIBOSINFO = "libosinfo"
    VIRTUALBOX = "virtualbox"
    OVIRT = "ovirt"
    TEXT = "text"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """`count` virtual CPUs in all; `cores_per_socket` is None where the source does not say."""

    count: int
    cores_per_socket: int | None = None
    hot_add: bool = False
    hot_remove: bool = False
    affinity: str = ""
    numa_affinity: str = ""
    shares: int | None = None
    limit_mhz: int | None = None
    reservation_mhz: int | None = None
    nested_virtualization: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """`size_bytes` is what the guest has at start; the dynamic range only where the source has one.

    `demand_bytes` is what the guest was seen to use, where memory is dynamic.
    """

    size_bytes: int
    hot_add: bool = False
    dynamic_min_bytes: int | None = None
    dynamic_max_bytes: int | None = None
    demand_bytes: int | None = None
    reservation_bytes: int | None = None
    limit_bytes: int | None = None
    shares: int | None = None

    @property
    def needed_bytes(self) -> int:
        """What a machine of fixed size needs: what it starts with, or asked for in operation if that is more."""
        return max(self.size_bytes, self.demand_bytes or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """One virtual disk.

    `id` is unique and stable within its machine. `files` names the chain, the file in use first and its base last, as
    the source's own listing names them. `position` is the place in boot and device order, from 0. `lent_by` is the id
    of another machine that this disk belongs to (hot-added to a backup proxy); it never goes with the borrower.
    `io_filters` name what stands in the host's I/O path (caching, replication, encryption by policy).
    """

    id: str
    label: str
    position: int
    bus: DiskBus | Other
    controller: int
    unit: int
    capacity_bytes: int
    format: DiskFormat | Other
    controller_model: str = ""
    subformat: str = ""
    allocated_bytes: int | None = None
    files: tuple[str, ...] = ()
    datastore: str = ""
    mode: DiskMode | Other = DiskMode.PERSISTENT
    backing: DiskBacking | Other = DiskBacking.FILE
    shared: bool = False
    encrypted: bool = False
    read_only: bool = False
    change_tracking: bool | None = None
    logical_sector_bytes: int | None = None
    physical_sector_bytes: int | None = None
    uuid: str = ""
    compression: str = ""
    lent_by: str = ""
    io_filters: tuple[str, ...] = ()
    iops_limit: int | None = None

    @property
    def used_bytes(self) -> int:
        """What there is to copy, as far as the source tells; else all of it."""
        return self.capacity_bytes if self.allocated_bytes is None else min(self.allocated_bytes, self.capacity_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class VlanRange:
    """VLAN ids from `first` to `last`, both of them included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """One network adapter; `network` is the source's network name, `mac` lower case with colons or empty.

    `vlan` and `trunk` are those of the adapter itself, where the source sets them there; they go before its network's.
    `forged_transmits` None means: as the network has it.
    """

    position: int
    label: str
    model: NicModel | Other
    network: str
    mac: str = ""
    mac_is_static: bool = True
    vlan: int | None = None
    trunk: tuple[VlanRange, ...] = ()
    forged_transmits: bool | None = None
    connected: bool = True
    ip_addresses: tuple[str, ...] = ()
    mac_spoofing: bool | None = None
    private_vlan: str = ""
    bandwidth_limit_bps: int | None = None
    teaming: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CdDrive:
    position: int
    bus: DiskBus | Other
    image: str = ""
    connected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """`kind` is the source's word where it has several (standard, production, recovery, planned, replica…)."""

    id: str
    name: str
    created: str = ""
    description: str = ""
    parent: str = ""
    current: bool = False
    with_memory: bool = False
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestVolume:
    """A file system as the guest's agent reported it; `disks` are ids of Disk where the agent tells them."""

    path: str
    capacity_bytes: int | None = None
    free_bytes: int | None = None
    filesystem: str = ""
    disks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestAddress:
    """The configuration of one of the guest's interfaces, as its agent reported it.

    `addresses` are `ADDRESS/PREFIX`; `dhcp` is None where the agent does not say.
    """

    mac: str
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    dhcp: bool | None = None
    interface: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """What is known of the operating system inside. `os_id` is a word of the vocabulary `os_id_kind`."""

    os_id: str = ""
    os_id_kind: GuestIdKind = GuestIdKind.NONE
    os_name: str = ""
    hostname: str = ""
    tools: ToolsState = ToolsState.UNKNOWN
    tools_version: str = ""
    ip_addresses: tuple[str, ...] = ()
    time_sync: bool | None = None
    volumes: tuple[GuestVolume, ...] = ()
    addresses: tuple[GuestAddress, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Any other device: `kind` is one of passthrough, usb, serial, parallel, floppy, sound, vgpu, video, watchdog…"""

    kind: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One virtual machine as its source describes it; `id` is the source's own stable identifier.

    `reference` is the handle by which the source's interface knows it now (a moref); it may change. `estate` tells
    machines that belong to the platform or to a backup product, `estate_reason` how that was seen. `power_state_text`
    is the source's own word for a state that is neither on, off nor suspended. `locks` are what keeps a copy from
    starting now (a backup's snapshot, a merge that is pending, a running task), in the source's words.
    """

    id: str
    name: str
    cpu: Cpu
    memory: Memory
    firmware: Firmware
    firmware_stated: bool = True
    secure_boot: bool = False
    vtpm: bool = False
    uuid: str = ""
    power_state: PowerState = PowerState.UNKNOWN
    is_template: bool = False
    guest: Guest = field(default_factory=Guest)
    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()
    cd_drives: tuple[CdDrive, ...] = ()
    devices: tuple[Device, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    boot_order: tuple[str, ...] = ()
    notes: str = ""
    tags: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    hardware_version: str = ""
    exporter: str = ""
    folder: str = ""
    host: str = ""
    cluster: str = ""
    resource_pool: str = ""
    group: str = ""
    start_order: int | None = None
    start_delay_seconds: int | None = None
    reference: str = ""
    generation: int | None = None
    power_state_text: str = ""
    connection_state: str = ""
    serial_number: str = ""
    asset_tag: str = ""
    encrypted: bool | None = None
    shielded: bool | None = None
    secure_boot_template: str = ""
    change_tracking: bool | None = None
    change_tracking_supported: bool | None = None
    consolidation_needed: bool | None = None
    fault_tolerance: bool | None = None
    latency_sensitivity: str = ""
    disk_uuid_enabled: bool | None = None
    virtualization_based_security: bool | None = None
    start_action: str = ""
    stop_action: str = ""
    ha_priority: str = ""
    cluster_role: bool | None = None
    replication: str = ""
    locks: tuple[str, ...] = ()
    estate: Estate | None = None
    estate_reason: str = ""

    @property
    def capacity_bytes(self) -> int:
        return sum(disk.capacity_bytes for disk in self.disks)

    @property
    def used_bytes(self) -> int:
        return sum(disk.used_bytes for disk in self.disks)
