# SPDX-License-Identifier: Apache-2.0
"""The described hosts: what a simulated Hyper-V has, as one JSON file (`estate.json`) keeps it between runs.

Names and values are those that the Hyper-V module shows; ids are lower case.
"""

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Image:
    """A virtual disk file, by its path on the host. `parent` is the path of the disk it differs from."""

    path: str
    format: str = "VHDX"
    type: str = "Dynamic"
    size: int = 0
    block: int = 1 << 20
    logical: int = 512
    physical: int = 4096
    parent: str = ""
    identifier: str = ""
    rct: str = ""


@dataclass(kw_only=True)
class HardDisk:
    """`path` is the file in use; a physical disk has `disk_number` instead."""

    path: str = ""
    controller: str = "SCSI"
    number: int = 0
    location: int = 0
    disk_number: int | None = None
    shared: bool = False
    maximum_iops: int = 0


@dataclass(kw_only=True)
class Dvd:
    path: str = ""
    controller: str = "SCSI"
    number: int = 0
    location: int = 1


@dataclass(kw_only=True)
class Adapter:
    """`mac` is 12 hex digits; `vlan` holds the properties of its VLAN setting other than Untagged."""

    name: str = "Network Adapter"
    switch: str = "LAN"
    mac: str = "000000000000"
    dynamic_mac: bool = True
    legacy: bool = False
    connected: bool = True
    iov_weight: int = 0
    spoofing: str = "Off"
    teaming: str = "Off"
    bandwidth: int = 0
    addresses: list[str] = field(default_factory=list)
    vlan: dict[str, str | int] = field(default_factory=dict)
    guest: dict[str, list[str] | bool] = field(default_factory=dict)


@dataclass(kw_only=True)
class Checkpoint:
    """`disks` are the machine's with the files that it froze; empty where nobody described them."""

    id: str
    name: str
    type: str = "Standard"
    created: str = "2026-03-01T08:00:00.0000000Z"
    parent: str = ""
    state: str = "Off"
    disks: list[HardDisk] = field(default_factory=list)


@dataclass(kw_only=True)
class VirtualMachine:
    """`refuses_shutdown` is a guest whose integration service does not answer; `role_name` is set by a rename."""

    id: str
    name: str
    host: str = ""
    generation: int = 2
    state: str = "Off"
    status: list[str] = field(default_factory=lambda: ["Ok"])
    notes: str = ""
    cpus: int = 2
    nested: bool = False
    cpu_limit: int = 100
    startup: int = 1 << 30
    dynamic: bool = False
    minimum: int = 512 << 20
    maximum: int = 1 << 40
    assigned: int = 0
    demand: int = 0
    bios_guid: str = ""
    bios_serial: str = ""
    asset_tag: str = ""
    secure_boot: str = "On"
    template: str = "MicrosoftWindows"
    boot: list[str] = field(default_factory=list)
    tpm: bool = False
    shielded: bool = False
    encrypted: bool = False
    start_action: str = "StartIfRunning"
    start_delay: int = 0
    stop_action: str = "Save"
    checkpoint_type: str = "Production"
    checkpoints: list[Checkpoint] = field(default_factory=list)
    current_checkpoint: str = ""
    replication: dict[str, str] = field(default_factory=dict)
    disks: list[HardDisk] = field(default_factory=list)
    dvds: list[Dvd] = field(default_factory=list)
    adapters: list[Adapter] = field(default_factory=list)
    devices: list[dict[str, str]] = field(default_factory=list)
    time_sync: bool = True
    kvp: dict[str, str] = field(default_factory=dict)
    refuses_shutdown: bool = False
    role_name: str = ""
    role_priority: int | None = None
    role_state: str = ""


@dataclass(kw_only=True)
class Switch:
    id: str
    name: str
    type: str = "External"
    uplinks: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Host:
    """One host; `cores`, `memory` and the bytes free on its drive D: are what it tells of itself."""

    name: str
    free: int = 3 << 40
    cores: int = 16
    memory: int = 128 << 30
    switches: list[Switch] = field(default_factory=list)


@dataclass(kw_only=True)
class Estate:
    """All hosts of one stand-in; several are the nodes of `cluster`. `images` are by their path in lower case."""

    schema: str = "v2x.simulated-hyperv/1"
    profile: str = "2022"
    cluster: str = ""
    domain: str = "contoso.example"
    hosts: list[Host] = field(default_factory=list)
    machines: list[VirtualMachine] = field(default_factory=list)
    images: dict[str, Image] = field(default_factory=dict)

    def machine(self, id: str) -> VirtualMachine | None:
        return next((one for one in self.machines if one.id == id.lower()), None)

    def chain(self, path: str) -> list[Image | str]:
        """The image at `path` and its parents; a path that leads to none ends it."""
        found: list[Image | str] = []
        while path and len(found) < 64:
            image = self.images.get(path.lower())
            found.append(image or path)
            path = image.parent if image else ""
        return found
