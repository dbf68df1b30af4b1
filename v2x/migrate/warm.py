# SPDX-License-Identifier: Apache-2.0
"""Warm migration: passes over a running machine's disks until little is left, then a short outage.

A pass freezes the disks by a snapshot, brings each disk on the target to that point, and lets go of the snapshot; none
outlives the pass that reads it, not even one that was stopped. The point that a disk was brought to stands on the
disk, so a pass needs nothing of the one before: it sends what changed since, zeros included. A pass that broke off
leaves the old point, and the next one sends at least what that one did.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from v2x.disks.areas import ChangedAreas
from v2x.disks.extent import Extent
from v2x.disks.interface import DiskReader
from v2x.disks.stream.feed import BLOCK_BYTES, data_blocks
from v2x.errors import AccessError, Blocked, SourceError, Stopped, Unsupported, V2xError
from v2x.migrate import outage, steps, warm_guest
from v2x.migrate.backup_wait import let_go, once_free, wait_for_backup
from v2x.migrate.base_copy import verified_since, verify_base, wants_base, with_changed
from v2x.migrate.copy import DiskCopy, copy_disk
from v2x.migrate.digests import DigestTable
from v2x.migrate.goback import keep_before, went_back
from v2x.migrate.points import parted
from v2x.migrate.power import shut_down_guest, state_now
from v2x.migrate.rehearsal import end_rehearsals
from v2x.migrate.reshape import follow
from v2x.migrate.tracking import end_tracking
from v2x.migrate.verify import VerifyMismatch, complete_digests, level_of, verify_held
from v2x.migrate.watch import Crossings, LimitCrossed, Watch, refuse_full
from v2x.migrate.work import Next, Work
from v2x.model.machine import Disk, PowerState
from v2x.model.migration import DiskResult, Pass, VerifyLevel
from v2x.model.outage import Outage
from v2x.sources.interface import ChangeTracking, Checkpoint, PowerControl, Thaws, TrackingLost
from v2x.target.interface import ClaimedDisk, Patches, ReadBack
from v2x.target.keeping import Moment
from v2x.waiting import heeding

FREEZE_TRIES = 3
_OF_OTHER_DISKS = frozenset({"SOURCE-CHANGED", "NOT-IN-SNAPSHOT"})


def track(work: Work) -> None:
    """Changes are tracked from here on; what that takes at the source is done only where it is allowed."""
    source = tracking(work)
    if not isinstance(work.target, Patches):
        raise Unsupported("this target takes whole disks only", hint="migrate to a pool, or cold")
    wait_for_backup(work)
    _track(work, source)


def _track(work: Work, source: ChangeTracking) -> None:
    if once_free(work, lambda: source.track(work.machine, allowed=work.enable_tracking)):
        work.turned_on_tracking = True
    steps.tell(work)


def tracking(work: Work) -> ChangeTracking:
    if not isinstance(work.source, ChangeTracking):
        raise Unsupported(
            f"{work.machine.name}: its source cannot tell what changes while it runs", hint="migrate it cold"
        )
    return work.source


def sync(work: Work) -> None:
    """One pass over all disks; a snapshot that costs its source too much goes, and the pass goes on from a new one."""
    if _is_short(work) and wants_base(work):
        for disk in verify_base(work):
            _remade(work, disk)
    crossings, tries = Crossings(work), FREEZE_TRIES
    while True:
        wait_for_backup(work)
        refuse_full(work)
        try:
            _pass(work, Watch(work))
            return
        except LimitCrossed as problem:
            steps.tell(work)
            crossings.crossed(problem)
        except SourceError as problem:
            # Somebody removed the snapshot. Disks keep the points of before, from which the next pass sends.
            tries -= 1
            if problem.code != "SOURCE-GONE" or not tries:
                raise
            work.observer.warning(f"{problem.message}; the pass is made anew")


def _pass(work: Work, stopping: Callable[[], bool], *, last: bool = False) -> None:
    """Brings all disks to one point; after the `last` one, the guest is put right where that is wanted."""
    source = tracking(work)
    began, sent_before = time.monotonic(), sum(result.sent_bytes for result in work.results)
    copied_before = sum(result.seconds for result in work.results)
    with _frozen(work, source) as at:
        warm_guest.rehearse(work, at)
        claim = work.target.claim(work.spec, work.tag)
        work.claim = claim
        for disk in claim.disks:
            _brought(work, source, disk, at, stopping)
        if last:
            for described, reader, done in warm_guest.conversion(work, at):
                _keep(work, described, reader, done, stopping, patched=True)
    # All of it is there, and counted by the target; what later passes add is not known before.
    work.reservations.hold(work.tag, work.place, {})
    sent = sum(result.sent_bytes for result in work.results) - sent_before
    copying = max(0.0, sum(result.seconds for result in work.results) - copied_before)
    work.passes.append(Pass(sent_bytes=sent, seconds=time.monotonic() - began, copy_seconds=copying))
    steps.tell(work)


@contextmanager
def _frozen(work: Work, source: ChangeTracking) -> Iterator[Checkpoint]:
    """The disks, as they are, frozen while they are read; then let go of, as far as the next pass can do without."""
    if isinstance(work.source, Thaws):
        work.checkpoint = _freeze(work, source)
        steps.tell(work)
        yield work.checkpoint
        work.source.thaw(work.machine, work.tag)
        return
    try:
        work.checkpoint = _freeze(work, source)
        steps.tell(work)
        yield work.checkpoint
    finally:
        with heeding(None):  # a stop waits for the snapshot to be gone
            let_go(work)


def _freeze(work: Work, source: ChangeTracking) -> Checkpoint:
    """Disks may come and go between a look at them and the freeze; a snapshot of before that is of no use."""
    for _ in range(FREEZE_TRIES - 1):
        if follow(work):
            _track(work, source)
        try:
            return once_free(work, lambda: source.freeze(work.machine, work.tag))
        except SourceError as problem:
            if problem.code not in _OF_OTHER_DISKS or isinstance(work.source, Thaws):
                raise
            let_go(work)
    if follow(work):
        _track(work, source)
    return once_free(work, lambda: source.freeze(work.machine, work.tag))


def _brought(
    work: Work, source: ChangeTracking, disk: ClaimedDisk, at: Checkpoint, stopping: Callable[[], bool]
) -> None:
    described, point = work.source_disk(disk.source_disk), at.points[disk.source_disk]
    reader = once_free(work, lambda: work.source.reader(work.machine, described, at))
    try:
        since, touched = parted(disk.point)
        back = went_back(work, disk, since) if touched else None
        if back is not None:
            disk, touched = back, ()
        if reader.size > disk.size_bytes:
            work.observer.warning(f"{described.label} has grown at the source to {reader.size:,} bytes")
            disk = _patches(work).resize(work.held_claim(), disk, reader.size)
        changes: ChangedAreas | None = None
        if disk.point and (disk.point != point or back is not None):
            try:
                changes = _areas(
                    source.changed(work.machine, described, since, at) if since != point else (), reader, disk
                )
                changes.add_blocks(touched)
                if changes.blocks and not touched and disk.mark_bytes >= disk.size_bytes:
                    keep_before(work, disk, Moment.DELTA, len(changes.blocks) * BLOCK_BYTES)
            except TrackingLost as problem:
                work.observer.warning(f"{problem.message}; it is copied whole")
                disk = _remade(work, disk)
        done = copy_disk(
            reader,
            work.target,
            work.held_claim(),
            disk,
            point,
            work.observer,
            label=described.label,
            changes=changes,
            stopping=stopping,
            pace=work.pace,
        )
        if changes is not None:
            done.disk = _patches(work).advance(work.held_claim(), disk, point)
        _keep(work, described, reader, done, stopping, patched=changes is not None)
    finally:
        reader.close()


def _patches(work: Work) -> Patches:
    if not isinstance(work.target, Patches):
        raise Unsupported("this target takes whole disks only", hint="migrate to a pool, or cold")
    return work.target


def _areas(changed: Iterable[Extent], reader: DiskReader, disk: ClaimedDisk) -> ChangedAreas:
    """What changed; of a disk whose first copy is not done, also the blocks with data from its mark on, whole."""
    wanted = ChangedAreas(changed, reader.size)
    if disk.mark_bytes < disk.size_bytes:
        wanted.add_blocks(number for number in data_blocks(reader) if number >= disk.mark_bytes // BLOCK_BYTES)
    return wanted


def _keep(
    work: Work, described: Disk, reader: DiskReader, done: DiskCopy, stopping: Callable[[], bool], *, patched: bool
) -> None:
    """The disk's result with the digests of all passes so far."""
    before = next((one for one in work.results if one.source_disk == described.id), None)
    table = DigestTable.of(before.digests if before is not None and (patched or done.resumed_at_bytes) else None)
    table = _complete(work, done.disk, reader, table.updated(done.digests), stopping)
    result = DiskResult(
        source_disk=described.id,
        label=described.label,
        vdi=done.disk.id,
        capacity_bytes=reader.size,
        target_bytes=done.disk.size_bytes,
        data_bytes=len(table) * BLOCK_BYTES,
        sent_bytes=done.sent_bytes + (before.sent_bytes if before else 0),
        resumed_at_bytes=done.resumed_at_bytes,
        segments=done.segments + (before.segments if before else 0),
        seconds=done.seconds + (before.seconds if before else 0.0),
        verified=VerifyLevel.NONE,
        digests=table.record(BLOCK_BYTES, reader.size),
        unverified=with_changed(before, done.digests, reader.size) if patched else None,
    )
    _forget(work, done.disk)
    work.results.append(result)


def _complete(
    work: Work, disk: ClaimedDisk, reader: DiskReader, table: DigestTable, stopping: Callable[[], bool]
) -> DigestTable:
    """With the digests of blocks that a program before this one sent, read again."""
    blocks = data_blocks(reader)
    if table.numbers().issuperset(blocks) or level_of(work, disk) is VerifyLevel.NONE:
        return table
    return complete_digests(reader, blocks, table, stopping)


def _remade(work: Work, disk: ClaimedDisk) -> ClaimedDisk:
    """A fresh disk in the place of `disk`, also in the claim; what was known of its content is forgotten."""
    _forget(work, disk)
    held = work.held_claim()
    again = work.target.remake(held, disk)
    disks = tuple(again if one.source_disk == disk.source_disk else one for one in held.disks)
    work.claim = replace(held, disks=disks)
    return again


def _forget(work: Work, disk: ClaimedDisk) -> None:
    work.results[:] = [one for one in work.results if one.source_disk != disk.source_disk]


def next_pass(work: Work) -> Next:
    """After a pass: another one while they get smaller, then the outage, or waiting for the word."""
    work.outage = _foretold(work)
    if not _is_short(work) or (wants_base(work) and len(work.passes) < outage.MOST_PASSES):
        return Next.AGAIN
    if work.cut_over():
        return Next.GO_ON
    predicted = work.outage.predicted or 0.0
    if predicted > work.outage_seconds:
        work.observer.warning(
            f"its outage is predicted to last {predicted:.0f} s, longer than the {work.outage_seconds:g} s wanted, "
            "and another pass would hardly make it shorter"
        )
    return Next.WAIT if work.waits_for_cutover else Next.GO_ON


def _is_short(work: Work) -> bool:
    """Whether passes have come down to what the outage may take; the word to cut over makes any of them do."""
    return bool(work.passes) and (work.cut_over() or outage.is_settled(work.passes, _foretold(work)))


def _foretold(work: Work) -> Outage:
    return outage.predicted(
        work.passes,
        work.results,
        _deepest(work),
        work.care,
        wanted_seconds=work.outage_seconds,
        starts=work.start,
        converts=work.convert,
        history=work.history(),
        contention=work.contention(),
    )


def shut_down(work: Work) -> None:
    """The outage begins: the guest shuts down; it is switched off only where its row allows that."""
    name, off = work.machine.name, state_now(work) is PowerState.OFF
    if not off and work.waits_for_cutover and not work.cut_over():
        # Another life of the program took the word; since then its window may have closed.
        raise Stopped(f"{name}: its cutover has to wait again", hint="resume the batch; it goes on with a pass")
    end_rehearsals(work)
    if off:
        work.observer.warning(f"{name} is off at the source already")
        return
    if not isinstance(work.source, PowerControl):
        raise Unsupported(f"{name}: its source cannot shut it down", hint="shut it down by hand, then run again")
    if follow(work):
        # What is new is copied before the outage, not in it.
        sync(work)
    wait_for_backup(work)
    shut_down_guest(work, work.source)


def last_sync(work: Work) -> None:
    """The last pass, over disks that nobody writes to any more."""
    if state_now(work) is not PowerState.OFF:
        raise SourceError(
            f"{work.machine.name} was started again before its last pass",
            code="POWERED-ON",
            hint="find out who starts it, then run again",
        )
    # Nothing waits in the outage, and a snapshot of a machine that is off does not grow.
    _pass(work, work.stopping, last=True)


def verify(work: Work) -> None:
    """Compares each disk with the digests of all passes, as far as asked for; one that differs is copied anew once."""
    if not isinstance(work.target, ReadBack):
        return
    for disk in work.held_claim().disks:
        if _mended(work, work.target, disk) and work.convert:
            return  # all of them were verified meanwhile


def _mended(work: Work, target: ReadBack, disk: ClaimedDisk) -> bool:
    """Whether the disk differed, and was made right: from its snapshot on the target first, then by a copy."""
    try:
        _verified(work, target, disk)
        return False
    except VerifyMismatch as problem:
        differs = problem.message
    try:
        if (back := went_back(work, disk)) is not None:
            work.observer.warning(f"{differs}; what came after its snapshot is sent once more")
            _verified_again(work, target, back)
            return True
    except VerifyMismatch as problem:
        differs = problem.message
    work.observer.warning(f"{differs}; copied once more")
    _verified_again(work, target, _remade(work, disk))
    return True


def _verified_again(work: Work, target: ReadBack, disk: ClaimedDisk) -> None:
    """Brings a disk up to date that is older than the rest, and compares it."""
    if work.convert:
        # A conversion is one over all disks: no disk is ever of another than the rest.
        _pass(work, work.stopping, last=True)
        for each in work.held_claim().disks:
            _verified(work, target, each)
        return
    with _frozen(work, tracking(work)) as at:
        _brought(work, tracking(work), disk, at, work.stopping)
    _verified(work, target, disk)


def _deepest(work: Work) -> VerifyLevel:
    """How much is compared of the disks that are compared at all."""
    levels = {level_of(work, disk) for disk in work.held_claim().disks}
    return next(iter(levels - {VerifyLevel.NONE}), VerifyLevel.NONE)


def _verified(work: Work, target: ReadBack, disk: ClaimedDisk) -> None:
    described, level = work.source_disk(disk.source_disk), level_of(work, disk)
    if level is VerifyLevel.NONE:
        return
    index, result = next((n, one) for n, one in enumerate(work.results) if one.source_disk == disk.source_disk)
    if result.digests is None:
        raise SourceError(f"{described.label}: the digests of its passes are lost", hint="run again; it is read anew")
    if verified_since(work, disk):
        over = "export of what was written since it was verified"
        work.results[index] = replace(result, verified=VerifyLevel.FULL, verified_over=over)
        return
    done = verify_held(
        target,
        work.held_claim(),
        disk,
        result.digests,
        level,
        work.observer,
        label=described.label,
        stopping=work.stopping,
    )
    work.results[index] = replace(result, verified=done.level, verified_over=done.over)


def look_up(work: Work) -> None:
    """What a program that comes in later needs: the claim that the passes before it made, as its own."""
    work.claim = work.target.find(work.tag)
    if work.claim is not None and not work.claim.sealed:
        follow(work)
        work.claim = work.target.claim(work.spec, work.tag)


def finish(work: Work) -> None:
    """Lets go of the source: our snapshot, and tracking where this migration turned it on."""
    left: V2xError | None = None
    try:
        steps.release(work)
    except (AccessError, SourceError, Blocked) as problem:
        left = problem
    try:
        end_tracking(work.source, work.machine, work.turned_on_tracking)
    except V2xError as problem:
        work.observer.warning(f"change tracking stays on at the source: {problem.message}")
    work.turned_on_tracking = False
    if left is not None:
        raise left
