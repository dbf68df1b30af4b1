# SPDX-License-Identifier: Apache-2.0
"""Verification of a warm copy in two parts: all of it before the outage, in the outage only what was written since.

Once passes are short, the disks on the target are kept as they are then, by a snapshot there, and read back as a whole
against the digests of all passes so far. Passes go on; each notes the blocks whose digests it changed. In the outage
the target tells what was written since: every block of that is compared, and every block with a new digest has to be
among them. What neither was written nor has a new digest is what was verified. Where the target cannot tell, or does
not know of a block that was sent, the whole disk is read back in the outage.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from v2x.disks.interface import DiskReader
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.errors import Stopped, TargetError, Unsupported, V2xError
from v2x.migrate.digests import DigestTable, digest_of, recorded
from v2x.migrate.pump import pumped
from v2x.migrate.verify import VerifyMismatch, compare_block, verify_disk
from v2x.migrate.work import Work
from v2x.model.migration import DiskResult, VerifyLevel
from v2x.target.interface import ClaimedDisk, KeepsBase, ReadBack

_ZEROS = memoryview(bytes(BLOCK_BYTES))
Runs = tuple[tuple[int, int], ...]


def wants_base(work: Work) -> bool:
    """Whether a disk is to be verified before the outage and is not yet, as far as its target can do that."""
    if work.verify is not VerifyLevel.FULL or work.claim is None or not isinstance(work.target, KeepsBase):
        return False
    return any(
        not _has_base(work, work.target, disk) for disk in work.claim.disks if disk.source_disk not in work.baseless
    )


def _has_base(work: Work, target: KeepsBase, disk: ClaimedDisk) -> bool:
    result = _result(work, disk)
    return result is not None and result.unverified is not None and target.keeps(work.held_claim(), disk)


def _result(work: Work, disk: ClaimedDisk) -> DiskResult | None:
    return next((one for one in work.results if one.source_disk == disk.source_disk), None)


def verify_base(work: Work) -> Iterator[ClaimedDisk]:
    """Verifies what `wants_base` tells of; gives the disks that differ, to be made anew. Twice is VerifyMismatch."""
    target = work.target
    if not isinstance(target, KeepsBase) or not isinstance(target, ReadBack):
        return
    for disk in work.held_claim().disks:
        result = _result(work, disk)
        if result is None or result.digests is None or disk.source_disk in work.baseless:
            work.baseless.add(disk.source_disk)
            continue
        if _has_base(work, target, disk):
            continue
        if disk.source_disk in work.based:
            _without(work, disk, "it was copied whole after it had been verified")
            continue
        if not _kept(work, target, disk):
            continue
        if _holds(work, target, disk, result):
            work.results[work.results.index(result)] = replace(result, unverified=())
            work.based.add(disk.source_disk)
        else:
            yield disk


def _holds(work: Work, target: ReadBack, disk: ClaimedDisk, result: DiskResult) -> bool:
    """Whether all of the disk is what was read. VerifyMismatch the second time it is not."""
    if result.digests is None:
        return False
    held = target.reader(work.held_claim(), disk)
    try:
        verify_disk(
            held,
            result.digests,
            VerifyLevel.FULL,
            work.observer,
            disk=disk.source_disk,
            label=result.label,
            stopping=work.stopping,
        )
    except VerifyMismatch as problem:
        if disk.source_disk in work.differed:
            raise
        work.differed.add(disk.source_disk)
        work.observer.warning(f"{problem.message}; copied once more")
        return False
    finally:
        held.close()
    return True


def _kept(work: Work, target: KeepsBase, disk: ClaimedDisk) -> bool:
    why = "its storage is not thin, or the disk too large"
    try:
        if target.keep(work.held_claim(), disk):
            return True
    except TargetError as problem:
        why = problem.message
    _without(work, disk, f"no snapshot of it on the pool, since {why}")
    return False


def _without(work: Work, disk: ClaimedDisk, why: str) -> None:
    work.baseless.add(disk.source_disk)
    label = work.source_disk(disk.source_disk).label
    work.observer.warning(f"{label} will be verified as a whole in the outage: {why}")


def with_changed(before: DiskResult | None, sent: DigestTable, size_bytes: int) -> Runs | None:
    """The blocks whose digests are of later than the base: those of before, and those that `sent` changed."""
    if before is None or before.unverified is None or before.digests is None:
        return None
    fresh = dict(sent.items())
    old = {number: digest for number, digest in recorded(before.digests) if number in fresh}

    def was(number: int) -> bytes:
        """Without a digest, a block was all zeros."""
        return old.get(number) or digest_of(_ZEROS[: min(BLOCK_BYTES, size_bytes - number * BLOCK_BYTES)])

    changed = {number for number, digest in fresh.items() if digest != was(number)}
    changed.update(number for first, count in before.unverified for number in range(first, first + count))
    return runs_of(sorted(changed))


def runs_of(numbers: Iterable[int]) -> Runs:
    """(first, count) of ascending numbers."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and sum(runs[-1]) == number:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((number, 1))
    return tuple(runs)


def verified_since(work: Work, disk: ClaimedDisk) -> bool:
    """Compares what was written since the base. False where that does not prove the disk; VerifyMismatch as usual."""
    target, result = work.target, _result(work, disk)
    if work.verify is not VerifyLevel.FULL or not isinstance(target, KeepsBase):
        return False
    if result is None or result.unverified is None or result.digests is None:
        return False
    try:
        held = target.written(work.held_claim(), disk)
    except V2xError as problem:
        work.observer.warning(f"{result.label} is verified as a whole: {problem.message}")
        return False
    if held is None:
        return False
    try:
        _compare(work, held, result)
    except Unsupported as problem:
        work.observer.warning(f"{result.label} is verified as a whole: {problem.message}")
        return False
    finally:
        held.close()
    return True


def _compare(work: Work, held: DiskReader, result: DiskResult) -> None:
    digests = result.digests
    if digests is None or held.size < digests.size_bytes:
        raise Unsupported("its base is of another size")
    written = _blocks(held)
    unwritten = {number for first, count in result.unverified or () for number in range(first, first + count)} - written
    if unwritten:
        raise Unsupported(f"the pool does not tell of block {min(unwritten)} that it was written")
    known = {number: digest for number, digest in recorded(digests) if number in written}
    total = sum(min(BLOCK_BYTES, held.size - number * BLOCK_BYTES) for number in written)
    work.observer.disk(result.source_disk, result.label, "verify", 0, total)
    with pumped(held, sorted(written), BLOCK_BYTES) as blocks:
        for block in blocks:
            if work.stopping():
                raise Stopped("stopped while verifying", hint="run the same command again; it continues")
            compare_block(block, known.get(block.number, b""), digests.size_bytes, result.label)
            work.observer.progress(result.source_disk, len(block.data))


def _blocks(held: DiskReader) -> set[int]:
    return {
        number
        for extent in held.extents(0, held.size)
        if extent.data
        for number in range(extent.start // BLOCK_BYTES, -(-extent.end // BLOCK_BYTES))
    }
