# SPDX-License-Identifier: Apache-2.0
"""The disks of a virtual system: which item is which disk, where it is attached, and which files hold it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from v2x.disks.listing import Listing, plain_name
from v2x.errors import BadImage, InputRefused, UnsafeImage
from v2x.model.inventory import SourceProblem
from v2x.model.machine import Disk, DiskBacking, DiskBus, DiskFormat, Other
from v2x.sources.images import ImageFacts, describe_image
from v2x.sources.ovf_dialects import Dialect, Place
from v2x.sources.ovf_envelope import DiskRef, Envelope, Exporter, FileRef
from v2x.sources.ovf_items import Controller, Item, Units, drives, interface_bus

_SUFFIXES = {
    ".vmdk": DiskFormat.VMDK,
    ".vhd": DiskFormat.VHD,
    ".vhdx": DiskFormat.VHDX,
    ".qcow2": DiskFormat.QCOW2,
    ".raw": DiskFormat.RAW,
    ".img": DiskFormat.RAW,
}


@dataclass(frozen=True, slots=True)
class Bench:
    """What is known of a system while its disks are read."""

    envelope: Envelope
    items: list[Item]
    controllers: dict[str, Controller]
    dialect: Dialect
    machine: str


@dataclass(slots=True)
class DriveReader:
    """Finds disks' files in `listing` and looks at their headers; what is amiss goes to `problems`."""

    listing: Listing
    problems: list[SourceProblem] = field(default_factory=list)
    _there: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._there = frozenset(self.listing.names())

    def disks(self, bench: Bench) -> Iterator[Disk]:
        units = Units()
        for position, item in enumerate(drives(bench.items)):
            disk = _disk_of(item, bench)
            yield self._disk(bench.envelope, item, disk, _place(item, disk, bench, units), position)

    def _disk(self, envelope: Envelope, item: Item, disk: DiskRef, place: Place, position: int) -> Disk:
        names = [self._name(file, envelope) for file in disk.files]
        files = tuple(name for name in names if name)
        kind = self._format(disk, files)
        facts = ImageFacts(capacity_bytes=disk.capacity_bytes)
        compression = next((file.compression or _packed(file.href) for file in disk.files), "")
        backing = DiskBacking.FILE if disk.files else DiskBacking.EMPTY
        if not all(names):
            backing = DiskBacking.MISSING
        elif files and not compression:
            facts, backing = self._look(disk, files, kind, envelope)
        return Disk(
            id=disk.id or item.instance,
            label=disk.label or item.label,
            position=position,
            bus=place.bus,
            controller=place.controller,
            unit=place.unit,
            controller_model=place.model,
            capacity_bytes=facts.capacity_bytes,
            format=kind,
            subformat=facts.subformat or disk.subformat,
            allocated_bytes=facts.allocated_bytes if facts.allocated_bytes is not None else disk.populated_bytes,
            files=facts.chain or (files if all(names) else tuple(file.href for file in disk.files)),
            backing=backing,
            shared="multiwriter" in item.configs.get("backing.sharing", item.configs.get("sharing", "")).lower(),
            encrypted=envelope.encrypted or facts.encrypted,
            uuid=disk.uuid or facts.uuid,
            compression=compression,
        )

    def _name(self, file: FileRef, envelope: Envelope) -> str:
        """The name under which the listing holds `file`, or an empty string with a problem noted."""
        try:
            href = file.href
            if envelope.exporter is Exporter.OVIRT:
                # oVirt's storage layout is group/image; only a file of that base name beside the descriptor counts.
                href = href.rpartition("/")[2]
            name = next((name for name in (href, unquote(href)) if name in self._there), "") or plain_name(href)
            plain_name(name)
        except UnsafeImage as problem:
            self._note(file.href, problem.code, problem.message)
            return ""
        if name in self._there:
            self._check_size(file, name, envelope)
            return name
        self._note(name, "MISSING-FILE", f"{name} is named by {envelope.name} but is not there")
        return ""

    def _check_size(self, file: FileRef, name: str, envelope: Envelope) -> None:
        # XenCenter writes the space used on the SR, not the size of the file.
        if file.size_bytes is None or envelope.exporter is Exporter.XENSERVER:
            return
        try:
            source = self.listing.open(name)
        except InputRefused as problem:
            self._note(name, problem.code, problem.message)
            return
        found = source.size
        source.close()
        if found != file.size_bytes:
            text = f"{name} has {found:,} bytes, {envelope.name} says {file.size_bytes:,}"
            self._note(name, "SIZE-MISMATCH", text)

    def _format(self, disk: DiskRef, files: tuple[str, ...]) -> DiskFormat | Other:
        """The stated format. Where none is stated, the file's extension is the exporter's statement."""
        if isinstance(disk.format, Other) and not disk.format.text and files:
            suffix = files[0][files[0].rfind(".") :].lower() if "." in files[0] else ""
            return _SUFFIXES.get(suffix, disk.format)
        return disk.format

    def _look(
        self, disk: DiskRef, files: tuple[str, ...], kind: DiskFormat | Other, envelope: Envelope
    ) -> tuple[ImageFacts, DiskBacking]:
        stated = ImageFacts(capacity_bytes=disk.capacity_bytes)
        try:
            facts = describe_image(self.listing, files, kind)
        except InputRefused as problem:
            self._note(files[0], problem.code, problem.message)
            return stated, DiskBacking.FILE
        if facts is None:
            return stated, DiskBacking.FILE
        for name in facts.missing:
            self._note(name, "MISSING-FILE", f"{name}, a part of {files[0]}, is not there")
        if facts.problem:
            self._note(files[0], "BAD-IMAGE", facts.problem)
        if facts.capacity_bytes != disk.capacity_bytes and not disk.rounded:
            text = (
                f"{files[0]} is a disk of {facts.capacity_bytes:,} bytes, "
                f"{envelope.name} says {disk.capacity_bytes:,}; the disk's own size counts"
            )
            self._note(files[0], "CAPACITY-MISMATCH", text)
        if facts.raw_device:
            return facts, DiskBacking.RAW_DEVICE
        return facts, DiskBacking.MISSING if facts.missing else DiskBacking.FILE

    def _note(self, subject: str, code: str, text: str) -> None:
        problem = SourceProblem(subject=subject, code=code, text=text)
        if problem not in self.problems:
            self.problems.append(problem)


def _packed(href: str) -> str:
    lowered = href.lower()
    return next(
        (word for end, word in ((".gz", "gzip"), (".bz2", "bzip2"), (".xz", "xz")) if lowered.endswith(end)), ""
    )


def _disk_of(item: Item, bench: Bench) -> DiskRef:
    """The disk behind an item's HostResource: `ovf:/disk/ID`, `/disk/ID`, `ovf:/file/ID`, or oVirt's `group/image`."""
    envelope = bench.envelope
    resource = item.host_resource.removeprefix("ovf:").lstrip("/")
    word, _, key = resource.partition("/")
    if word == "disk" and key in envelope.disks:
        return envelope.disks[key]
    if word == "file" and key in envelope.files:
        # Without a Disk element nothing states a size; the image's own header does.
        return DiskRef(id=key, files=(envelope.files[key],), capacity_bytes=0, format=Other(""), rounded=True)
    for disk in envelope.disks.values():
        if any(resource and resource in {file.href, file.id, f"{disk.id}/{file.id}"} for file in disk.files):
            return disk
    if envelope.exporter is Exporter.OVIRT and key in envelope.disks:
        return envelope.disks[key]
    raise BadImage(
        f"machine {bench.machine[:80]!r}: disk item {item.instance[:40]!r} names "
        f"{item.host_resource[:80]!r}, which the DiskSection does not describe",
        hint="export the machine again",
    )


def _place(item: Item, disk: DiskRef, bench: Bench, units: Units) -> Place:
    stated = bench.dialect.places.get(disk.uuid) if disk.uuid else None
    if stated is not None:
        unit = units.take(stated.bus, stated.controller, str(stated.unit))
        return Place(stated.bus, stated.controller, unit, stated.model)
    controller = bench.controllers.get(item.parent)
    if controller is not None:
        unit = units.take(controller.bus, controller.number, item.address_on_parent)
        return Place(controller.bus, controller.number, unit, controller.model)
    bus: DiskBus | Other = interface_bus(disk.interface)
    if bus is DiskBus.UNKNOWN and bench.envelope.exporter is Exporter.XENSERVER:
        bus = DiskBus.XEN
    return Place(bus, 0, units.take(bus, 0, item.address_on_parent), disk.interface.lower())
