# SPDX-License-Identifier: Apache-2.0
"""The guest put right on its way: its disks as they look on overlays, and what was changed is told.

A target whose disks can be patched gets the source's disks first, which continue from their mark whenever the copy was
stopped; then the blocks in which the overlays differ, whose numbers stand on the disk before the first of them is
written (see points.py). Any other target gets the overlays' view as it is, which no two conversions write alike.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from v2x.convert.guest import ConvertedDisk, converted_guest
from v2x.convert.interface import Conversion
from v2x.convert.registry import shown
from v2x.disks.areas import ChangedAreas
from v2x.disks.interface import DiskReader, ForwardOnly
from v2x.disks.stream.feed import BLOCK_BYTES, data_blocks
from v2x.errors import NoSpace, UsageError
from v2x.migrate.backup_wait import once_free
from v2x.migrate.copy import DiskCopy, copy_disk
from v2x.migrate.goback import keep_before
from v2x.migrate.look import adapters_of, clock_offset_of
from v2x.migrate.observe import TellsChanges
from v2x.migrate.points import marked, parted
from v2x.migrate.stage import staged
from v2x.migrate.verify import complete_digests, level_of
from v2x.model.machine import Disk
from v2x.model.migration import GuestChange, Phase, VerifyLevel
from v2x.model.units import MIB, show_bytes
from v2x.sources.interface import Checkpoint, ReadsAtRandom
from v2x.target.interface import Claim, ClaimedDisk, Patches
from v2x.target.keeping import Moment

if TYPE_CHECKING:
    from v2x.migrate.work import Work

_ROOM_BYTES = 256 * MIB


@dataclass(frozen=True, slots=True)
class GuestDisk:
    """A disk of the machine as its source has it, and as its guest sees it after the conversion."""

    before: DiskReader
    after: ConvertedDisk


@contextlib.contextmanager
def put_right(work: "Work", at: Checkpoint) -> Iterator[dict[str, GuestDisk]]:
    """The machine's disks by id within the block, before and after its guest's conversion on overlays.

    Nothing of the target is touched. What was changed goes to an observer that keeps it, and remarks to the warnings.
    Raises as `converted_guest`; UsageError FORWARD-ONLY for a disk that cannot be read at random.
    """
    work.observer.phase(Phase.CONVERT)
    disks = sorted((work.source_disk(one.source_disk) for one in work.spec.disks), key=lambda disk: disk.position)
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(contextlib.closing(_at_random(work, disk, at))) for disk in disks]
        conversion, converted = stack.enter_context(
            converted_guest(
                readers,
                _overlay_folder(work.stage),
                adapters=adapters_of(work.machine, work.spec),
                clock_offset_seconds=clock_offset_of(work.spec),
                wishes=work.wishes,
                turn=lambda: work.appliance(work.stopping),
                stopping=work.stopping,
            )
        )
        for remark in conversion.proposal.remarks:
            work.observer.warning(f"{remark.text}; {remark.remedy}" if remark.remedy else remark.text)
        if isinstance(work.observer, TellsChanges):
            work.observer.converted(tuple(changes_of(conversion)))
        both = zip(readers, converted, strict=True)
        yield {disk.id: GuestDisk(*pair) for disk, pair in zip(disks, both, strict=True)}


def _overlay_folder(stage: Path | None) -> Path:
    """Where overlays go. UsageError where it cannot be made, NoSpace where a rebuilt image is sure not to fit."""
    folder = stage or Path(tempfile.gettempdir())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as problem:
        raise UsageError(
            f"the guest cannot be converted in {folder}: {problem.strerror}", hint="choose another --stage folder"
        ) from None
    if free < _ROOM_BYTES:
        raise NoSpace(
            f"{folder} has {show_bytes(free)} free, and what a conversion changes is kept there until it is sent",
            hint=f"make room for {show_bytes(_ROOM_BYTES)} or more, or choose another folder (TMPDIR)",
        )
    return folder


def _at_random(work: "Work", disk: Disk, at: Checkpoint) -> DiskReader:
    """A reader of the disk that can go back; of one that cannot, a staged copy."""
    source = work.source
    if isinstance(source, ReadsAtRandom) and work.stage is None:
        reader = once_free(work, lambda: source.random_reader(work.machine, disk, at))
    else:
        reader = once_free(work, lambda: source.reader(work.machine, disk, at))
    if not isinstance(reader, ForwardOnly):
        return reader
    if work.stage is not None:
        return staged(reader, work.stage, f"{work.tag}-{disk.position}")
    reader.close()
    raise forward_only(f"{disk.label} of {work.machine.name}")


def forward_only(what: str) -> UsageError:
    """The error for a disk, or a transport, that flows by once from its first byte to its last."""
    return UsageError(
        f"{what} is read through an export (nfc), which only flows forward, so that its guest cannot be converted",
        code="FORWARD-ONLY",
        hint="use --transport https or vddk; or v2x migrate --stage FOLDER, which keeps a copy of the disks meanwhile",
    )


@contextlib.contextmanager
def converted(work: "Work") -> Iterator[None]:
    """Within the block, `work.converted` are the disks before and after; without a wish for it, none."""
    if not work.convert:
        yield
        return
    with put_right(work, work.held_checkpoint()) as disks:
        work.converted = disks
        work.observer.phase(Phase.COPY)
        try:
            yield
        finally:
            work.converted = {}


def patchable(work: "Work", claim: Claim) -> frozenset[str]:
    """The ids of the disks that get their conversion as a patch."""
    target = work.target
    if not work.convert or not isinstance(target, Patches):
        return frozenset()
    return frozenset(disk.source_disk for disk in claim.disks if target.takes_patches(claim, disk))


def is_of(work: "Work", disk: ClaimedDisk) -> bool:
    """Whether the disk on the target is fresh, or of the point that is wanted and can be gone on with."""
    wanted = work.point_of(disk.source_disk)
    point = parted(disk.point)[0] if disk.source_disk in work.patchable else disk.point
    return not disk.point or point == wanted


def begun_copy(disk: ClaimedDisk, reader: DiskReader) -> DiskCopy | None:
    """The copy of a disk that an earlier conversion was written to: it is whole but for what the patch sends again."""
    if not parted(disk.point)[1]:
        return None
    return DiskCopy(disk=disk, blocks=data_blocks(reader), resumed_at_bytes=disk.size_bytes)


def patch(work: "Work", disk: ClaimedDisk, described: Disk, after: ConvertedDisk) -> DiskCopy | None:
    """Sends the blocks that the conversion changed, and those that an earlier one may have; None where there are none.

    The disk must be whole. Their numbers stand on it first, so that it can be brought back from wherever this ends.
    """
    point, left = parted(disk.point)
    changes = ChangedAreas(after.areas, after.reader.size)
    changes.add_blocks(left)
    if not changes.blocks or not isinstance(work.target, Patches):
        return None
    if not left:
        keep_before(work, disk, Moment.GUEST, len(changes.blocks) * BLOCK_BYTES)
    mark = marked(point, changes.blocks)
    disk = work.target.advance(work.held_claim(), disk, mark)
    with contextlib.closing(after.reader.clone()) as reader:
        return copy_disk(
            reader,
            work.target,
            work.held_claim(),
            disk,
            mark,
            work.observer,
            label=described.label,
            changes=changes,
            stopping=work.stopping,
            pace=work.pace,
        )


def with_patch(
    work: "Work", done: DiskCopy, patched: DiskCopy | None, after: DiskReader, stopping: Callable[[], bool]
) -> DiskCopy:
    """A copy and its patch as one, with the digests of what the target holds then as far as it is verified."""
    digests, blocks = done.digests, sorted({*done.blocks, *(patched.blocks if patched else ())})
    if patched is not None:
        digests = digests.updated(patched.digests)
    if done.resumed_at_bytes and level_of(work, done.disk) is not VerifyLevel.NONE:
        digests = complete_digests(after, blocks, digests, stopping)
    more = patched or DiskCopy(disk=done.disk, blocks=())
    return replace(
        done,
        disk=more.disk,
        blocks=blocks,
        digests=digests,
        empty=done.empty + more.empty,
        sent_bytes=done.sent_bytes + more.sent_bytes,
        segments=done.segments + more.segments,
        seconds=done.seconds + more.seconds,
    )


def changes_of(conversion: Conversion) -> Iterator[GuestChange]:
    """Every change, in the order in which it was made; text that is no UTF-8 with escapes."""
    proposal = conversion.proposal
    for removal in proposal.removals:
        yield GuestChange(kind="removal", what=removal.path, why=removal.why)
    for edit in proposal.edits:
        yield GuestChange(
            kind="link" if edit.link else "edit",
            what=edit.path,
            before=_valid(edit.before),
            after=_valid(edit.after),
            why=edit.why,
        )
    for change in proposal.registry:
        before, after = shown(change)
        yield GuestChange(kind="registry", what=change.place, before=before, after=after, why=change.why)
    for addition in proposal.additions:
        yield GuestChange(kind="file", what=str(addition.source), after=addition.to, why=addition.why)
    for copy in (*proposal.copies, *(one for command in proposal.commands for one in command.copies)):
        yield GuestChange(kind="copy", what=copy.path, after=copy.to, why=copy.why)
    for command in proposal.commands:
        yield GuestChange(kind="command", what=" ".join(command.argv), why=command.why)


def _valid(text: str | None) -> str | None:
    return None if text is None else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
