# SPDX-License-Identifier: Apache-2.0
"""The Target that is a folder: one importable XVA file per machine, written in one pass, no server needed.

A machine grows as NAME.xva.part and gets its name only once it is whole and on the disk. It cannot be continued half
way: its disks stand one after the other, so a run that finds another's .part begins it anew. The tag is in ova.xml, so
a finished file is recognised whatever it is called. A lock on the .part keeps two runs apart and ends with its process.

MAC addresses survive only an import that restores the machine (`xe vm-import preserve=true`, restore=true).
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from v2x.errors import BadImage, Conflict, TargetError, Unsupported, UsageError
from v2x.model.target import Migrated, StorageRepository, TargetFacts, TargetMachine
from v2x.model.units import GIB, round_up
from v2x.target import ova_xml
from v2x.target.archive import PART, Archive, ArchiveWriter, ChunkReader, file_name, first_member
from v2x.target.chunks import CHUNK_BYTES
from v2x.target.interface import Claim, ClaimedDisk, DiskWriter

_LIMIT_BYTES = 2040 * GIB
_SUFFIX = ".xva"


class XvaTarget:
    """A folder, made with the first claim where it does not exist.

    `new_uuid` and `clock` are all that differs between two runs.

    `sequential_disks`: the disks of a claim are written one after the other, in the claim's order.
    """

    sequential_disks = True

    def __init__(
        self,
        folder: str | Path,
        *,
        new_uuid: Callable[[], UUID] = uuid4,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.folder = Path(folder)
        self._new_uuid, self._clock = new_uuid, clock
        self._open: dict[str, Archive] = {}

    def __enter__(self) -> "XvaTarget":
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{self.folder} is no folder", hint="choose another")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes what is unfinished; it stays as .part files."""
        while self._open:
            self._open.popitem()[1].close()

    def facts(self) -> TargetFacts:
        """One storage repository, the folder; networks are named freely."""
        there = next(place for place in (self.folder, *self.folder.absolute().parents) if place.is_dir())
        usage = shutil.disk_usage(there)
        return TargetFacts(
            kind="xva",
            address=str(self.folder),
            taken_at=self._clock(),
            product="XVA",
            version="2",
            storage=(
                StorageRepository(
                    uuid="xva",
                    name=str(self.folder),
                    kind="xva",
                    is_default=True,
                    size_bytes=usage.total,
                    used_bytes=usage.total - usage.free,
                ),
            ),
            machine_names=tuple(sorted(path.name.removesuffix(_SUFFIX) for path in self.folder.glob(f"*{_SUFFIX}"))),
            migrated=tuple(self._migrated()),
        )

    def _migrated(self) -> Iterator[Migrated]:
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            for tag, claim in _claims_in(path, sealed=True):
                yield Migrated(tag=tag, machine=path.name.removesuffix(_SUFFIX), uuid=claim.id)

    def find(self, tag: str) -> Claim | None:
        """A finished file is a sealed claim; a .part, an unsealed one whose disks begin anew."""
        if tag in self._open:
            return self._open[tag].claim
        found = list(self._tagged(tag, _SUFFIX))
        if len(found) > 1:
            names = ", ".join(str(path) for path, _ in found)
            raise Conflict(f"several files claim to be migration {tag}: {names}", hint="remove those not wanted")
        if found:
            return found[0][1]
        return next((claim for _, claim in self._tagged(tag, _SUFFIX + PART)), None)

    def leftovers(self) -> tuple[Claim, ...]:
        """The .part files of v2x; a note tells of one that another run is writing."""
        found = []
        for path in sorted(self.folder.glob(f"*{_SUFFIX}{PART}")):
            for tag, claim in _claims_in(path, sealed=False):
                held = tag not in self._open and Archive.is_held(path)
                found.append(replace(claim, notes=(f"another run writes {path}",) if held else ()))
        return tuple(found)

    def claim(self, spec: TargetMachine, tag: str) -> Claim:
        held = self._open.get(tag)
        if held is not None and held.spec == spec:
            return replace(held.claim, fresh=False)
        found = self.find(tag)
        if found is not None and found.sealed:
            return found
        for disk in spec.disks:
            if disk.size_bytes > _LIMIT_BYTES:
                raise Unsupported(
                    f"disk {disk.name} has more than the 2040 GiB that an XVA can bring",
                    hint="migrate to a pool instead",
                )
        if held is not None:
            self._open.pop(tag).discard()
        elif found is not None:
            self.discard(found)
        made = self._begin(spec, tag)
        self._open[tag] = made
        return made.claim

    def writer(self, claim: Claim, disk: ClaimedDisk, blocks: Sequence[int], point: str) -> DiskWriter:
        if not point:
            raise ValueError("a disk's content needs a point in time")
        return ArchiveWriter(self._held(claim), disk.source_disk, blocks, point)

    def remake(self, claim: Claim, disk: ClaimedDisk) -> ClaimedDisk:
        """Cuts the file at the disk's beginning: the disks after it begin anew, too."""
        return self._held(claim).restart(disk.source_disk)

    def seal(self, claim: Claim, spec: TargetMachine) -> None:
        held = self._open.get(claim.tag)
        if held is None:
            found = self.find(claim.tag)
            if found is None or not found.sealed:
                raise Conflict(f"{claim.name} is not being written by this run", hint="run the migration again")
            return
        held.finish()
        del self._open[claim.tag]

    def discard(self, claim: Claim) -> None:
        held = self._open.pop(claim.tag, None)
        if held is not None:
            held.discard()
            return
        if any(True for _ in self._tagged(claim.tag, _SUFFIX)):
            raise Conflict(f"{claim.name} is finished and belongs to its user now", hint="remove the file by hand")
        for path, _ in self._tagged(claim.tag, _SUFFIX + PART):
            Archive.open(path).discard()

    def reader(self, claim: Claim, disk: ClaimedDisk) -> ChunkReader:
        held = self._open.get(claim.tag)
        if held is not None:
            held.flush()
            return ChunkReader(held.path, disk.id, disk.size_bytes)
        for path, _ in self._tagged(claim.tag, _SUFFIX):
            return ChunkReader(path, disk.id, disk.size_bytes)
        raise Conflict(f"{claim.name} is gone from {self.folder}", hint="run the migration again")

    def _held(self, claim: Claim) -> Archive:
        held = self._open.get(claim.tag)
        if held is None:
            raise Conflict(f"{claim.name} is not being written by this run", hint="run the migration again")
        return held

    def _begin(self, spec: TargetMachine, tag: str) -> Archive:
        vm_uuid = UUID(spec.uuid) if spec.uuid else self._new_uuid()
        disks = {
            disk.source_disk: (ova_xml.reference(number), round_up(max(disk.size_bytes, CHUNK_BYTES), CHUNK_BYTES))
            for number, disk in enumerate(spec.disks, start=2)
        }
        description = ova_xml.write(spec, tag, disks, vm_uuid=vm_uuid, new_uuid=self._new_uuid)
        claim = Claim(
            tag=tag,
            id=str(vm_uuid),
            name=spec.name,
            disks=tuple(
                ClaimedDisk(
                    source_disk=disk.source_disk, id=disks[disk.source_disk][0], size_bytes=disks[disk.source_disk][1]
                )
                for disk in spec.disks
            ),
            fresh=True,
        )
        made = self._file(spec.name, tag)
        made.begin(claim, spec, description)
        return made

    def _file(self, name: str, tag: str) -> Archive:
        """The .part under the machine's name, or with the tag behind it where that name is taken."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise UsageError(f"cannot make folder {self.folder}: {problem.strerror}", hint="choose another") from None
        plain = file_name(name)
        taken: Conflict | None = None
        for stem in (plain, f"{plain}-{file_name(tag)[:16]}"):
            final = self.folder / f"{stem}{_SUFFIX}"
            if final.exists():
                taken = Conflict(
                    f"{final} exists and is of another migration", hint="move it away, or rename the machine"
                )
                continue
            try:
                return Archive.open(final.with_name(final.name + PART))
            except Conflict as problem:
                taken = problem
        raise taken or TargetError(f"no file name for {name}")

    def _tagged(self, tag: str, suffix: str) -> Iterator[tuple[Path, Claim]]:
        """Files of this suffix whose ova.xml carries the tag; others, whatever they are, are passed over."""
        for path in sorted(self.folder.glob(f"*{suffix}")):
            for found, claim in _claims_in(path, sealed=suffix == _SUFFIX):
                if found == tag:
                    yield path, claim


def _claims_in(path: Path, *, sealed: bool) -> Iterator[tuple[str, Claim]]:
    """The machine of a file that v2x wrote, with its tag; nothing for any other file."""
    try:
        objects = ova_xml.read(first_member(path))
    except (BadImage, OSError):
        return
    for vm in objects.get("VM", ()):
        own = vm.get("other_config")
        if isinstance(own, dict) and own.get(ova_xml.MIGRATION):
            tag = str(own[ova_xml.MIGRATION])
            yield tag, _claim_of(vm, objects.get("VDI", []), tag, sealed=sealed)


def _claim_of(vm: dict[str, object], vdis: list[dict[str, object]], tag: str, *, sealed: bool) -> Claim:
    disks = []
    for vdi in vdis:
        own, size = vdi.get("other_config"), str(vdi.get("virtual_size", ""))
        if isinstance(own, dict) and ova_xml.DISK in own and size.isdecimal() and len(size) < 16:
            disks.append(
                ClaimedDisk(
                    source_disk=str(own[ova_xml.DISK]),
                    id=str(vdi["id"]),
                    size_bytes=int(size),
                    mark_bytes=int(size) if sealed else 0,
                )
            )
    return Claim(
        tag=tag, id=str(vm.get("uuid", "")), name=str(vm.get("name_label", "")), disks=tuple(disks), sealed=sealed
    )
