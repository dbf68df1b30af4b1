# SPDX-License-Identifier: Apache-2.0
"""Copies one disk: extents first, bytes second, and from the mark on when it was begun before."""

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from v2x.disks.areas import ChangedAreas
from v2x.disks.interface import DiskReader
from v2x.disks.stored import stored_blocks
from v2x.disks.stream.feed import BLOCK_BYTES, data_blocks
from v2x.errors import Retry, Stopped, Unsupported, V2xError
from v2x.migrate.crash import crash_midway
from v2x.migrate.digests import DigestTable, digest_of
from v2x.migrate.observe import Observer, TellsUploads
from v2x.migrate.pace import Pace
from v2x.migrate.pump import Block, pumped
from v2x.target.interface import ByTasks, Claim, ClaimedDisk, DiskWriter, LeavesOut, Patches, SegmentLost, Target

OpenWriter = Callable[[ClaimedDisk, Sequence[int]], DiskWriter]


@dataclass(kw_only=True)
class DiskCopy:
    """What is known of the copy of one disk. `blocks` are the numbers of all blocks that may hold data.

    `empty` counts those that held nothing but zeros when they were read, and were not written.
    """

    disk: ClaimedDisk
    blocks: Sequence[int]
    digests: DigestTable = field(default_factory=DigestTable)
    empty: int = 0
    sent_bytes: int = 0
    resumed_at_bytes: int = 0
    segments: int = 0
    seconds: float = 0.0


def copy_disk(
    reader: DiskReader,
    target: Target,
    claim: Claim,
    disk: ClaimedDisk,
    point: str,
    observer: Observer,
    *,
    label: str = "",
    changes: ChangedAreas | None = None,
    stopping: Callable[[], bool] = lambda: False,
    pace: Pace | None = None,
    attempts: int = 5,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> DiskCopy:
    """Sends all blocks of `reader` that hold data to `disk`, beginning at its mark.

    With `changes`, sends these areas instead, whatever they hold, to a disk that was begun before. A broken upload is
    continued from the last mark up to `attempts` times in a row without progress. Stopped when `stopping()` becomes
    true: the mark then stands at the last finished upload.
    """
    begun = clock()
    blocks = stored_blocks(reader, data_blocks(reader), stopping) if changes is None else changes.blocks
    if changes is not None:
        disk = replace(disk, mark_bytes=0)
    copy = DiskCopy(disk=disk, blocks=blocks, resumed_at_bytes=disk.mark_bytes)
    open_writer = _opener(target, claim, point, changes)
    first = bisect_left(blocks, disk.mark_bytes // BLOCK_BYTES)
    total = _bytes_of(blocks, 0, reader.size)
    observer.disk(disk.source_disk, label, "copy", total - _bytes_of(blocks, first, reader.size), total)
    failures = 0
    while True:
        try:
            _send(reader, open_writer, copy, observer, stopping, pace, fresh=changes is None)
            break
        except V2xError as problem:
            if problem.retry is not Retry.NOW:
                raise
            if changes is None:
                found = _again(target, claim, disk.source_disk)
            else:
                reached = problem.mark_bytes if isinstance(problem, SegmentLost) else 0
                found = replace(copy.disk, mark_bytes=max(reached, copy.disk.mark_bytes))
            failures = 1 if found.mark_bytes > copy.disk.mark_bytes else failures + 1
            if failures >= attempts:
                raise
            copy.disk = found
            observer.warning(f"{label or disk.source_disk}: {problem.message}; continuing from the last mark")
            sleep(min(30.0, 2.0**failures))
    copy.disk = ClaimedDisk(
        source_disk=disk.source_disk, id=disk.id, size_bytes=disk.size_bytes, mark_bytes=disk.size_bytes, point=point
    )
    copy.empty = _Zeros().count(copy.digests)
    copy.seconds = clock() - begun
    return copy


def _opener(target: Target, claim: Claim, point: str, changes: ChangedAreas | None) -> OpenWriter:
    if changes is None:
        return lambda disk, blocks: target.writer(claim, disk, blocks, point)
    if not isinstance(target, Patches):
        raise Unsupported("this target takes whole disks only", hint="migrate the machine cold")
    return lambda disk, blocks: target.patcher(claim, disk, blocks, changes)


def _send(
    reader: DiskReader,
    open_writer: OpenWriter,
    copy: DiskCopy,
    observer: Observer,
    stopping: Callable[[], bool],
    pace: Pace | None,
    *,
    fresh: bool,
) -> None:
    first = bisect_left(copy.blocks, copy.disk.mark_bytes // BLOCK_BYTES)
    waiting = copy.blocks[first:]
    if copy.disk.mark_bytes >= copy.disk.size_bytes and not waiting:
        return
    writer, zeros = open_writer(copy.disk, waiting), _Zeros()
    try:
        with pumped(reader, waiting, BLOCK_BYTES, digest=digest_of) as blocks:
            for block in blocks:
                if stopping():
                    raise Stopped("stopped while copying", hint="run the same command again; it continues")
                if fresh and isinstance(writer, LeavesOut) and zeros.match(block):
                    # Nothing was written here before: a disk of another point in time is made anew.
                    writer.leave_out(block.number, block.data)
                else:
                    writer.write(block.number, block.data)
                copy.digests.add(block.number, block.digest)
                if block.number == waiting[len(waiting) // 2]:
                    crash_midway()
                observer.progress(copy.disk.source_disk, len(block.data))
                if pace is not None:
                    pace.passed(len(block.data))
        writer.commit()
    finally:
        copy.sent_bytes += writer.sent_bytes
        copy.segments += writer.segments
        if isinstance(writer, ByTasks) and isinstance(observer, TellsUploads) and writer.task_references:
            observer.uploaded(copy.disk.source_disk, writer.task_references)
        writer.abort()


class _Zeros:
    """Knows blocks of zeros by their digest, and compares them byte for byte before it says so."""

    _zeros = memoryview(bytes(BLOCK_BYTES))

    def __init__(self) -> None:
        self._digests: dict[int, bytes] = {}

    def digest(self, length: int) -> bytes:
        if length not in self._digests:
            self._digests[length] = digest_of(self._zeros[:length])
        return self._digests[length]

    def match(self, block: Block) -> bool:
        length = len(block.data)
        # Copied, because memoryviews are compared element by element.
        return block.digest == self.digest(length) and bytes(block.data) == bytes(self._zeros[:length])

    def count(self, digests: DigestTable) -> int:
        whole = self.digest(BLOCK_BYTES)
        return sum(digest == whole for _, digest in digests.items())


def _again(target: Target, claim: Claim, source_disk: str) -> ClaimedDisk:
    found = target.find(claim.tag)
    for disk in found.disks if found else ():
        if disk.source_disk == source_disk:
            return disk
    raise Stopped("the disk vanished from the pool while it was copied", hint="run the same command again")


def _bytes_of(blocks: Sequence[int], first: int, size_bytes: int) -> int:
    count = len(blocks) - first
    if not count:
        return 0
    return (count - 1) * BLOCK_BYTES + min(BLOCK_BYTES, size_bytes - blocks[-1] * BLOCK_BYTES)
