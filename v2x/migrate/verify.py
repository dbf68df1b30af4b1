# SPDX-License-Identifier: Apache-2.0
"""Compares what a target holds with the digests of what was read."""

import heapq
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from v2x.disks.interface import DiskReader
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.errors import Stopped, TargetError, TrustError, Unsupported, V2xError
from v2x.migrate.digests import ALGORITHM, DigestTable, digest_of, recorded
from v2x.migrate.observe import Observer
from v2x.migrate.pump import Block, pumped
from v2x.migrate.sample import SAMPLE_BLOCKS, sampled
from v2x.model.migration import BlockDigests, VerifyLevel
from v2x.target.interface import Claim, ClaimedDisk, ReadBack
from v2x.target.reading import Samples, TellsWay

if TYPE_CHECKING:
    from v2x.migrate.work import Work

_ZEROS = bytes(BLOCK_BYTES)


class VerifyMismatch(TargetError):
    """The target holds other bytes than were read from the source."""

    code = "VERIFY-MISMATCH"


def complete_digests(
    reader: DiskReader, blocks: Iterable[int], known: DigestTable, stopping: Callable[[], bool]
) -> DigestTable:
    """`known` with the digests of those of `blocks` (ascending) that it lacks, read again."""
    numbers = known.numbers()
    missing = [number for number in blocks if number not in numbers]
    again = DigestTable()
    with pumped(reader, missing, BLOCK_BYTES, digest=digest_of) as read_again:
        for block in read_again:
            _check(stopping)
            again.add(block.number, block.digest)
    return again.updated(known)


def level_of(work: "Work", disk: ClaimedDisk) -> VerifyLevel:
    """How much of `disk` is to be compared: AUTO becomes a sample where the target offers a way to single blocks.

    The target is asked once for each disk, so that what was foretold of an outage is what is done in it.
    """
    target = work.target
    if not isinstance(target, ReadBack):
        return VerifyLevel.NONE
    if work.verify is not VerifyLevel.AUTO:
        return work.verify
    if disk.source_disk not in work.levels:
        offered = isinstance(target, Samples) and target.samples(work.held_claim(), disk)
        work.levels[disk.source_disk] = VerifyLevel.SAMPLE if offered else VerifyLevel.NONE
    return work.levels[disk.source_disk]


@dataclass(frozen=True, slots=True)
class Verified:
    """How far a disk was compared, and `over` what it was read (words for a report; empty where nobody tells)."""

    level: VerifyLevel
    over: str = ""


def verify_held(
    target: ReadBack,
    claim: Claim,
    disk: ClaimedDisk,
    digests: BlockDigests,
    level: VerifyLevel,
    observer: Observer,
    *,
    label: str = "",
    stopping: Callable[[], bool] = lambda: False,
) -> Verified:
    """Compares a disk of `claim` as `verify_disk` does. A sample goes by the target's way for single blocks, if any."""
    numbers: Sequence[int] | None = None
    held = _sampler(target, claim, disk, observer, label) if level is VerifyLevel.SAMPLE else None
    if held is not None:
        # The same disk gives the same sample, so that what was found once can be looked at again.
        numbers = sampled(digests, held.size, random.Random(digest_of(bytearray(digests.digests))))
    else:
        held = target.reader(claim, disk)
    try:
        verify_disk(
            held, digests, level, observer, disk=disk.source_disk, label=label, stopping=stopping, numbers=numbers
        )
        return Verified(level, held.over if isinstance(held, TellsWay) else "")
    finally:
        held.close()


def _sampler(target: ReadBack, claim: Claim, disk: ClaimedDisk, observer: Observer, label: str) -> DiskReader | None:
    if not isinstance(target, Samples):
        return None
    try:
        return target.sampler(claim, disk)
    except TrustError:
        raise
    except V2xError as problem:
        observer.warning(f"{label or disk.source_disk} is sampled from its start, not by NBD: {problem.message}")
        return None


def verify_disk(
    held: DiskReader,
    digests: BlockDigests,
    level: VerifyLevel,
    observer: Observer,
    *,
    disk: str,
    label: str = "",
    stopping: Callable[[], bool] = lambda: False,
    numbers: Sequence[int] | None = None,
) -> None:
    """Compares what `held` holds with `digests` in ascending order; VerifyMismatch names the first block that differs.

    A block is read where `held` has data in it or where it has a digest. Full compares them all: those without a
    digest, and what lies beyond the source's size, must be zeros. Sample ends after the first 256 blocks that hold
    data (partition table, boot loader, start of the file systems). With `numbers`, these blocks and no others.
    """
    if digests.algorithm != ALGORITHM or digests.block_bytes != BLOCK_BYTES:
        raise Unsupported(f"digests of kind {digests.algorithm} cannot be compared", hint="use the v2x that wrote them")
    if held.size < digests.size_bytes:
        raise VerifyMismatch(f"{label or disk} is smaller on the target: {held.size:,} of {digests.size_bytes:,} bytes")
    end = held.size
    if level is VerifyLevel.SAMPLE:
        end = min(end, _sample_end(digests))
    if numbers is None:
        runs = list(_to_read(held, digests, -(-end // BLOCK_BYTES)))
    else:
        runs = [(number, number + 1) for number in numbers]
    to_read = (number for first, following in runs for number in range(first, following))
    expected = recorded(digests)
    upcoming = next(expected, None)
    total = sum(min(following * BLOCK_BYTES, held.size) - first * BLOCK_BYTES for first, following in runs)
    observer.disk(disk, label, "verify", 0, total)
    with pumped(held, to_read, BLOCK_BYTES) as blocks:
        for block in blocks:
            _check(stopping)
            wanted = b""
            while upcoming is not None and upcoming[0] < block.number:
                upcoming = next(expected, None)
            if upcoming is not None and upcoming[0] == block.number:
                wanted = upcoming[1]
                upcoming = next(expected, None)
            compare_block(block, wanted, digests.size_bytes, label or disk)
            observer.progress(disk, len(block.data))


def _to_read(held: DiskReader, digests: BlockDigests, end: int) -> Iterator[tuple[int, int]]:
    """Runs (first, following) of the blocks below `end` that hold data on the target or have a digest, ascending."""
    size = min(held.size, end * BLOCK_BYTES)
    present = (
        (extent.start // BLOCK_BYTES, -(-extent.end // BLOCK_BYTES)) for extent in held.extents(0, size) if extent.data
    )
    wanted = ((first, min(first + count, end)) for first, count in digests.runs if first < end)
    reached, begun = 0, -1
    for first, following in heapq.merge(present, wanted):
        if begun < 0 or first > reached:
            if begun >= 0:
                yield begun, reached
            begun, reached = first, following
        reached = max(reached, following)
    if begun >= 0:
        yield begun, reached


def _sample_end(digests: BlockDigests) -> int:
    remaining = SAMPLE_BLOCKS
    for first, count in digests.runs:
        if count >= remaining:
            return (first + remaining) * BLOCK_BYTES
        remaining -= count
    return digests.size_bytes


def compare_block(block: Block, wanted: bytes, source_bytes: int, label: str) -> None:
    """VerifyMismatch where the block is not what was read; without a digest `wanted`, it has to be zeros."""
    offset = block.number * BLOCK_BYTES
    inside = max(0, min(len(block.data), source_bytes - offset))
    if wanted:
        found = digest_of(block.data[:inside])
        if found != wanted:
            raise VerifyMismatch(
                f"{label} differs in the block at byte {offset:,}: "
                f"source {wanted.hex()}, target {found.hex()} ({ALGORITHM})",
                hint="the disk is copied once more; if it differs again, check the storage of the pool",
            )
        rest = block.data[inside:]
    else:
        rest = block.data
    if bytes(rest) != _ZEROS[: len(rest)]:
        raise VerifyMismatch(
            f"{label} holds data at byte {offset:,} where the source has none",
            hint="the disk is copied once more; if it differs again, check the storage of the pool",
        )


def _check(stopping: Callable[[], bool]) -> None:
    if stopping():
        raise Stopped("stopped while verifying", hint="run the same command again; it continues")
