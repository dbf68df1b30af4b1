# SPDX-License-Identifier: Apache-2.0
"""Disks and CD drives of a vSphere machine: every bus and unit number, whatever holds them."""

from collections.abc import Iterator, Mapping, Sequence

from v2x.model.machine import CdDrive, Disk, DiskBacking, DiskBus, DiskFormat, DiskMode, Other
from v2x.sources.ovf_dialects import plain_uuid
from v2x.sources.vsphere.names import split_file
from v2x.sources.vsphere.pages import TYPE, Plain, dicts, flag, many, number, text

_CONTROLLERS: Mapping[str, tuple[DiskBus, str]] = {
    "VirtualIDEController": (DiskBus.IDE, "piix4"),
    "VirtualBusLogicController": (DiskBus.SCSI, "buslogic"),
    "VirtualLsiLogicController": (DiskBus.SCSI, "lsilogic"),
    "VirtualLsiLogicSASController": (DiskBus.SCSI, "lsilogicsas"),
    "ParaVirtualSCSIController": (DiskBus.SCSI, "pvscsi"),
    "VirtualSCSIController": (DiskBus.SCSI, ""),
    "VirtualSATAController": (DiskBus.SATA, "ahci"),
    "VirtualAHCIController": (DiskBus.SATA, "ahci"),
    "VirtualNVMEController": (DiskBus.NVME, "nvme"),
    "VirtualUSBController": (DiskBus.USB, "ehci"),
    "VirtualUSBXHCIController": (DiskBus.USB, "xhci"),
}
_ORDER = [DiskBus.IDE, DiskBus.SCSI, DiskBus.SATA, DiskBus.NVME]
_SECTORS = {"native_512": (512, 512), "emulated_512": (512, 4096), "native_4k": (4096, 4096)}
_MOST_CHAIN = 1_000


def read_disks(config: "Hardware") -> tuple[Disk, ...]:
    """In boot order where the machine states one, then by bus, controller and unit."""
    stated = [key for key in config.boot_disks if key in config.disks]

    def rank(key: str) -> tuple[int, int, int, int]:
        bus, number_of, unit, _ = config.place(config.disks[key])
        known = _ORDER.index(bus) if isinstance(bus, DiskBus) and bus in _ORDER else len(_ORDER)
        return (stated.index(key) if key in stated else len(stated)), known, number_of, unit

    ordered = sorted(config.disks, key=rank)
    return tuple(_disk(config, config.disks[key], key, position) for position, key in enumerate(ordered))


class Hardware:
    """The devices of one machine, and what its configuration says of them."""

    def __init__(self, devices: Sequence[Plain], boot_disks: Sequence[str], layout: Plain) -> None:
        self.devices = devices
        self.boot_disks = boot_disks
        self.disks = {text(one, "key"): one for one in devices if text(one, TYPE) == "VirtualDisk"}
        self._controllers = {text(one, "key"): one for one in devices if "Controller" in text(one, TYPE)}
        files = dicts(layout.get("file"))
        self._sizes = {text(one, "key"): number(one, "size") or 0 for one in files}
        self._named = {text(one, "name"): number(one, "size") or 0 for one in files if "ctk" not in text(one, "type")}
        self._parts = {text(one, "key"): dicts(one.get("chain")) for one in dicts(layout.get("disk"))}

    def place(self, device: Plain) -> tuple[DiskBus | Other, int, int, str]:
        """Bus, controller number, unit and controller model."""
        controller = self._controllers.get(text(device, "controllerKey"), {})
        kind = text(controller, TYPE)
        bus, model = _CONTROLLERS.get(kind, (Other(kind) if kind else DiskBus.UNKNOWN, ""))
        return bus, number(controller, "busNumber") or 0, number(device, "unitNumber") or 0, model

    def shares_bus(self, device: Plain) -> bool:
        controller = self._controllers.get(text(device, "controllerKey"), {})
        return text(controller, "sharedBus") in {"virtualSharing", "physicalSharing"}

    def allocated(self, key: str, files: Sequence[str]) -> int | None:
        """What the files of a disk take on their datastores, all links of its chain together."""
        if key in self._parts:
            keys = [one for link in self._parts[key] for one in many(link.get("fileKey"))]
            return sum(self._sizes.get(one, 0) for one in keys)
        sizes = [self._named[name] for file in files for name in _extents(file) if name in self._named]
        return sum(sizes) if sizes else None


def _disk(config: Hardware, device: Plain, key: str, position: int) -> Disk:
    backing = device.get("backing")
    backing = backing if isinstance(backing, dict) else {}
    bus, controller, unit, model = config.place(device)
    kind, files = text(backing, TYPE), _chain(backing)
    capacity = number(device, "capacityInBytes") or (number(device, "capacityInKB") or 0) * 1024
    held = config.allocated(key, files)
    mode = text(backing, "diskMode")
    sectors = _SECTORS.get(text(device, "virtualDiskFormat"), (None, None))
    limit = number(device, "storageIOAllocation", "limit")
    return Disk(
        id=key,
        label=text(device, "deviceInfo", "label") or key,
        position=position,
        bus=bus,
        controller=controller,
        unit=unit,
        controller_model=model,
        capacity_bytes=capacity,
        format=DiskFormat.VMDK,
        subformat=_subformat(kind, backing),
        allocated_bytes=min(held, capacity) if held is not None else None,
        files=files,
        datastore=split_file(files[0])[0] if files else "",
        mode=DiskMode(mode) if mode in set(DiskMode) else Other(mode),
        backing=_backing(kind, files),
        shared=config.shares_bus(device) or text(backing, "sharing") == "sharingMultiWriter",
        encrypted=isinstance(backing.get("keyId"), dict),
        change_tracking=bool(text(backing, "changeId")),
        logical_sector_bytes=sectors[0],
        physical_sector_bytes=sectors[1],
        uuid=plain_uuid(text(backing, "uuid")),
        io_filters=tuple(one for one in many(device.get("iofilter")) if isinstance(one, str)),
        iops_limit=limit if limit is not None and limit > 0 else None,
    )


def _extents(file: str) -> tuple[str, ...]:
    """The names that a descriptor's only extent may have beside it."""
    stem = file.removesuffix(".vmdk")
    return tuple(f"{stem}-{kind}.vmdk" for kind in ("flat", "delta", "sesparse"))


def _chain(backing: Plain) -> tuple[str, ...]:
    """The file in use, then its parents, the base last."""
    files: list[str] = []
    link: object = backing
    while isinstance(link, dict) and len(files) < _MOST_CHAIN:
        if text(link, "fileName"):
            files.append(text(link, "fileName"))
        link = link.get("parent")
    return tuple(files)


def _backing(kind: str, files: tuple[str, ...]) -> DiskBacking | Other:
    if "RawDisk" in kind:
        return DiskBacking.RAW_DEVICE
    if "PMem" in kind:
        return Other("persistent memory")
    if not kind or not files:
        return DiskBacking.EMPTY if not kind else DiskBacking.MISSING
    return DiskBacking.FILE


def _subformat(kind: str, backing: Plain) -> str:
    if "RawDisk" in kind:
        mode = text(backing, "compatibilityMode")
        return {"physicalMode": "physical RDM", "virtualMode": "virtual RDM"}.get(mode, "raw device")
    if "SeSparse" in kind:
        return "sesparse"
    if "Sparse" in kind:
        return "vmfssparse"
    if flag(backing, "thinProvisioned"):
        return "thin"
    if "Flat" in kind:
        return "thick eager zeroed" if flag(backing, "eagerlyScrub") else "thick"
    return ""


def read_cd_drives(config: Hardware) -> Iterator[CdDrive]:
    """An image is one on a datastore; a host's or a client's drive holds none that could be kept."""
    drives = [one for one in config.devices if text(one, TYPE) == "VirtualCdrom"]
    for position, drive in enumerate(drives):
        is_image = "Iso" in text(drive, "backing", TYPE)
        image = text(drive, "backing", "fileName") if is_image else ""
        yield CdDrive(
            position=position,
            bus=config.place(drive)[0],
            image=image,
            connected=bool(image) and flag(drive, "connectable", "startConnected") is True,
        )
