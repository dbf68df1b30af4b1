# SPDX-License-Identifier: Apache-2.0
"""Appliances as a source: an .ova file, or an .ovf descriptor with its files beside it."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from v2x.disks.interface import DiskReader
from v2x.disks.listing import FolderListing, Listing
from v2x.errors import InputRefused, UnsafeImage
from v2x.model.inventory import Inventory, SourceInfo, SourceNetwork, SourceProblem
from v2x.model.machine import Disk, DiskBacking, Machine
from v2x.sources.chunks import ChunkListing
from v2x.sources.images import image_files
from v2x.sources.interface import Checkpoint
from v2x.sources.local_files import Clock, file_checkpoint, file_confirm, file_reader, utc_now
from v2x.sources.manifest import Manifest, Progress, check_bytes, read_manifest, verify_manifest
from v2x.sources.ova import OvaListing
from v2x.sources.ovf_dialects import plain_uuid
from v2x.sources.ovf_drives import DriveReader
from v2x.sources.ovf_envelope import Envelope, Exporter, System, read_envelope
from v2x.sources.ovf_machine import read_machine
from v2x.sources.ovf_xml import MOST_XML_BYTES


class OvfSource:
    """The machines of one envelope; a Source and an Integrity.

    The descriptor is read, and compared with its digest, when the source is opened; disks are looked at by
    `inventory`. Owns `listing`.
    """

    def __init__(self, listing: OvaListing | FolderListing, descriptor: str, address: str, clock: Clock = utc_now):
        self._owned = listing
        self._clock = clock
        self._address = address
        data = _read_descriptor(listing, descriptor)
        self._manifest, self._notes = _manifest(listing, descriptor, data)
        self._envelope: Envelope = read_envelope(data, descriptor)
        chunked = {file.href: file.chunk_bytes for file in self._envelope.files.values() if file.chunk_bytes}
        self._listing: Listing = ChunkListing(listing, chunked) if chunked else listing
        self._machines: tuple[Machine, ...] | None = None
        self._problems: list[SourceProblem] = []

    @classmethod
    def open(cls, path: str | Path, address: str = "", clock: Clock | None = None) -> "OvfSource":
        """`path` ends in .ova or .ovf; `address` is what the user wrote."""
        path = Path(path)
        listing: OvaListing | FolderListing
        if path.suffix.lower() == ".ova":
            listing = OvaListing.opened(path)
            names = [name for name in listing.names() if name.lower().endswith(".ovf")]
        else:
            listing = FolderListing(path.parent)
            names = [path.name]
        try:
            if not names:
                raise _no_descriptor(path, listing)
            return cls(listing, names[0], address or str(path), clock or utc_now)
        except BaseException:
            listing.close()
            raise

    def __enter__(self) -> "OvfSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def inventory(self, select: Callable[[str], bool] | None = None) -> Inventory:
        """A system that cannot be understood stands in `problems`; if it is the only one, its error is raised."""
        machines = self._read()
        chosen = tuple(machine for machine in machines if select is None or select(machine.name) or select(machine.id))
        envelope = self._envelope
        return Inventory(
            source=SourceInfo(kind="ovf", address=self._address, product=envelope.product, version=envelope.version),
            taken_at=self._clock(),
            machines=chosen,
            networks=tuple(SourceNetwork(name=name, kind="ovf") for name in self._networks(machines)),
            problems=tuple(self._problems),
        )

    def checkpoint(self, machine: Machine, tag: str) -> Checkpoint:
        """Creates nothing: the points are the write identifiers of the files."""
        return file_checkpoint(self._listing, machine, tag)

    def reader(self, machine: Machine, disk: Disk, at: Checkpoint) -> DiskReader:
        return file_reader(self._listing, machine, disk, at)

    def confirm(self, machine: Machine, at: Checkpoint) -> None:
        file_confirm(self._listing, machine, at)

    def release(self, machine: Machine, tag: str) -> None:
        """Nothing was created."""

    def verify(self, machine: Machine, progress: Progress | None = None) -> tuple[str, ...]:
        """Compares the files of the machine's disks with the manifest; see `Integrity`. Without one: no names."""
        if self._manifest is None:
            return ()
        return verify_manifest(self._owned, self._manifest, self._files(machine), progress)

    def close(self) -> None:
        self._owned.close()

    def _networks(self, machines: tuple[Machine, ...]) -> list[str]:
        """The names that adapters use, then those of the envelope that no adapter uses."""
        used = dict.fromkeys(nic.network for machine in machines for nic in machine.nics if nic.network)
        stated = [name for name in self._envelope.networks if name]
        if self._envelope.exporter is Exporter.XENSERVER:
            # There the section's names are uuids, which stand for names that only the adapters tell.
            stated = [name for name in stated if not plain_uuid(name)]
        return list(used | dict.fromkeys(stated))

    def _files(self, machine: Machine) -> list[str]:
        names: dict[str, None] = {}
        for disk in machine.disks:
            if disk.backing is not DiskBacking.FILE:
                continue
            files = disk.files if disk.compression else image_files(self._listing, disk.files, disk.format)
            for name in files:
                parts = self._listing.parts(name) if isinstance(self._listing, ChunkListing) else [name]
                names.update(dict.fromkeys([name, *parts]))
        there = set(self._owned.names())
        return [name for name in names if name in there]

    def _read(self) -> tuple[Machine, ...]:
        if self._machines is None:
            drives = DriveReader(self._listing)
            machines: list[Machine] = []
            first: InputRefused | None = None
            for system in self._envelope.systems:
                try:
                    machines.append(self._machine(system, drives, {machine.id for machine in machines}))
                except InputRefused as problem:
                    first = first or problem
                    drives.problems.append(SourceProblem(subject=system.id, code=problem.code, text=problem.message))
            if first is not None and not machines:
                raise first
            self._machines = tuple(machines)
            self._problems = [*self._notes, *drives.problems]
        return self._machines

    def _machine(self, system: System, drives: DriveReader, taken: set[str]) -> Machine:
        machine = read_machine(self._envelope, system, drives)
        if machine.id in taken:
            # A cloned system keeps its uuid; within one envelope the system's own id tells them apart.
            machine = replace(machine, id=f"{machine.id}:{system.id}")
        digests = "+".join(self._manifest.algorithms) if self._manifest is not None else ""
        about = {"ovf.manifest": digests or "none"}
        if any(name.lower().endswith(".cert") for name in self._owned.names()):
            about["ovf.signature"] = "not checked"
        return replace(machine, attributes=machine.attributes | about)


def _no_descriptor(path: Path, listing: OvaListing | FolderListing) -> InputRefused:
    ignored = listing.ignored if isinstance(listing, OvaListing) else {}
    inside = next((name for name in ignored if name.lower().endswith(".ovf")), "")
    if inside:
        return UnsafeImage(
            f"{path.name} is not an OVA: its descriptor {inside[:120]!r} is {ignored[inside]}",
            hint="pack it again without folders: tar --format=ustar -cf NAME.ova NAME.ovf NAME-disk1.vmdk",
        )
    return InputRefused(
        f"{path.name} is not an OVA: it holds no .ovf descriptor",
        hint="an OVA is a tar archive of an .ovf file and its disks",
    )


def _read_descriptor(listing: Listing, name: str) -> bytes:
    with closing(listing.open(name)) as source:
        if source.size > MOST_XML_BYTES:
            raise UnsafeImage(f"{name} has {source.size:,} bytes, a descriptor has at most {MOST_XML_BYTES:,}")
        data = bytearray(source.size)
        source.read_into(0, data)
    return bytes(data)


def _manifest(
    listing: OvaListing | FolderListing, descriptor: str, data: bytes
) -> tuple[Manifest | None, list[SourceProblem]]:
    """The manifest that goes with `descriptor`, already compared with it, and what is worth a note."""
    names = list(listing.names())
    stem = descriptor[: -len(".ovf")] if descriptor.lower().endswith(".ovf") else descriptor
    wanted = f"{stem}.mf"
    found = next((name for name in names if name.lower() == wanted.lower()), "")
    if not found and isinstance(listing, OvaListing):
        # Some tools name it otherwise; an archive holds one appliance and so one manifest.
        found = next((name for name in names if name.lower().endswith(".mf")), "")
    notes: list[SourceProblem] = []
    if isinstance(listing, OvaListing):
        notes += [_note(name, "MEMBER-IGNORED", f"{name} is {why}") for name, why in list(listing.ignored.items())[:20]]
        others = [name for name in names if name.lower().endswith(".ovf") and name != descriptor]
        notes += [
            _note(name, "MEMBER-IGNORED", f"{name} is a second descriptor; {descriptor} counts") for name in others
        ]
    if not found:
        return None, notes
    manifest = read_manifest(listing, found)
    if not check_bytes(manifest, descriptor, data):
        notes.append(_note(descriptor, "NO-DIGEST", f"{found} has no digest of {descriptor}"))
    return manifest, notes


def _note(subject: str, code: str, text: str) -> SourceProblem:
    return SourceProblem(subject=subject, code=code, text=text)
