# SPDX-License-Identifier: Apache-2.0
"""Hard disks and DVD drives of a collected machine, in the order the machine boots them."""

from collections.abc import Sequence
from dataclasses import replace

from v2x.model.machine import CdDrive, Disk, DiskBacking, DiskBus, DiskFormat, Other
from v2x.sources.hyperv.fields import Fields
from v2x.sources.hyperv.folder_disks import format_of, volume_of
from v2x.sources.hyperv.words import BOOT_TYPES, CONTROLLERS, DVD_MEDIA, VHD_FORMATS, VHD_TYPES

_BUSES: dict[str, DiskBus] = {"IDE": DiskBus.IDE, "SCSI": DiskBus.SCSI}
_FORMATS: dict[str, DiskFormat] = {"VHD": DiskFormat.VHD, "VHDX": DiskFormat.VHDX}
_RANK = {DiskBus.IDE: 0, DiskBus.SCSI: 1}


def read_disks(machine: Fields) -> tuple[Disk, ...]:
    """The disks, boot disk first: a generation 1 machine boots IDE 0:0, generation 2 the first disk of its order."""
    rows = machine.rows("disks")
    order = _boot_ids(machine)
    disks = [(_disk(row), row.text("id").casefold()) for row in rows]

    def place(pair: tuple[Disk, str]) -> tuple[int, int, int, int]:
        disk, key = pair
        booted = order.index(key) if key and key in order else len(order)
        bus = disk.bus if isinstance(disk.bus, DiskBus) else None
        return booted, _RANK.get(bus, 2) if bus else 2, disk.controller, disk.unit

    ordered = [disk for disk, _ in sorted(disks, key=place)]
    return tuple(replace(disk, position=position) for position, disk in enumerate(ordered))


def _boot_ids(machine: Fields) -> list[str]:
    """Identifiers of the drives that the firmware tries, in its order; none for generation 1."""
    entries = machine.row("firmware").rows("bootOrder")
    return [row.text("device").casefold() for row in entries if row.word("type", BOOT_TYPES) in {"Drive", ""}]


def disk_id(bus: DiskBus | Other, controller: int, unit: int) -> str:
    """Names a disk by its place, which Hyper-V keeps unique: `scsi0:1`."""
    word = bus.text if isinstance(bus, Other) else bus.value
    return f"{word}{controller}:{unit}"


def _bus(row: Fields) -> DiskBus | Other:
    word = row.word("controllerType", CONTROLLERS)
    return _BUSES.get(word) or (Other(word.lower()) if word else DiskBus.UNKNOWN)


def _disk(row: Fields) -> Disk:
    bus, controller, unit = _bus(row), row.number("controllerNumber") or 0, row.number("location") or 0
    name = disk_id(bus, controller, unit)
    if row.number("diskNumber") is not None:
        # Its path is then a description of the physical disk in the host's language, never a file.
        return Disk(
            id=name,
            label=name,
            position=0,
            bus=bus,
            controller=controller,
            unit=unit,
            capacity_bytes=row.number("size") or 0,
            format=DiskFormat.RAW,
            backing=DiskBacking.RAW_DEVICE,
            iops_limit=row.positive("maximumIops"),
        )
    chain = row.rows("chain")
    leaf = chain[0] if chain else Fields(None)
    files = tuple(one.text("path") for one in chain if one.text("path")) or _texts(row.text("path"))
    kind = _format(leaf, files[0] if files else "")
    capacity = leaf.number("size") or 0
    return Disk(
        id=name,
        label=name,
        position=0,
        bus=bus,
        controller=controller,
        unit=unit,
        capacity_bytes=capacity,
        format=kind,
        subformat=leaf.word("type", VHD_TYPES).lower(),
        allocated_bytes=_allocated(chain, capacity),
        files=_whole(files, chain),
        datastore=volume_of(files[0]) if files else "",
        backing=_backing(chain, files),
        shared=bool(row.flag("shared")) or isinstance(kind, Other),
        change_tracking=True if leaf.text("rctId") else None,
        logical_sector_bytes=leaf.positive("logicalSector"),
        physical_sector_bytes=leaf.positive("physicalSector"),
        uuid=leaf.text("diskIdentifier").strip("{}").lower(),
        iops_limit=row.positive("maximumIops"),
    )


def _texts(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


def _format(leaf: Fields, path: str) -> DiskFormat | Other:
    word = leaf.word("format", VHD_FORMATS)
    if word == "VHDSet":
        return Other("vhds")
    return _FORMATS.get(word) or format_of(path)


def _allocated(chain: Sequence[Fields], capacity: int) -> int | None:
    """What the files take, the whole chain together: an upper bound of what the disk holds."""
    sizes = [row.number("fileSize") for row in chain]
    known = [size for size in sizes if size is not None]
    return min(sum(known), capacity) if known and len(known) == len(sizes) and capacity else None


def _whole(files: tuple[str, ...], chain: Sequence[Fields]) -> tuple[str, ...]:
    """The chain's files, with the parent that the last one names where the host could not follow it."""
    parent = chain[-1].text("parent") if chain else ""
    return (*files, parent) if parent and parent not in files else files


def _backing(chain: Sequence[Fields], files: tuple[str, ...]) -> DiskBacking:
    if not files:
        return DiskBacking.EMPTY
    lost = any(row.flag("there") is False for row in chain)
    return DiskBacking.MISSING if lost else DiskBacking.FILE


def read_cd_drives(machine: Fields) -> tuple[CdDrive, ...]:
    rows = sorted(
        machine.rows("dvds"),
        key=lambda row: (_bus(row) != DiskBus.IDE, row.number("controllerNumber") or 0, row.number("location") or 0),
    )
    return tuple(
        CdDrive(
            position=position,
            bus=_bus(row),
            image=row.text("path") if row.word("media", DVD_MEDIA) != "None" else "",
            connected=row.word("media", DVD_MEDIA) in {"ISO", "Physical"},
        )
        for position, row in enumerate(rows)
    )
