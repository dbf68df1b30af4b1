# SPDX-License-Identifier: Apache-2.0
"""The steps of a migration: plain functions over a `Work`, each create-or-adopt, each safe to repeat.

No step knows which engine runs it. What a step learns it leaves in the work; the truth stays on the target.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from v2x.convert.guestfs import require_libguestfs
from v2x.disks.interface import DiskReader
from v2x.disks.scan import ZeroScan
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.errors import Conflict, InputRefused, NoSpace, SourceError
from v2x.migrate.backup_wait import let_go, once_free, wait_for_backup
from v2x.migrate.copy import DiskCopy, copy_disk
from v2x.migrate.goback import count_room, went_back
from v2x.migrate.guest import begun_copy, converted, is_of, patch, patchable, with_patch
from v2x.migrate.integrity import IntegrityCheck
from v2x.migrate.observe import Observer
from v2x.migrate.points import parted
from v2x.migrate.power import bring_down, refuse_running, rehearse, stay_off
from v2x.migrate.readable import refuse_unreadable
from v2x.migrate.room import Taking
from v2x.migrate.stage import staged
from v2x.migrate.verify import Verified, VerifyMismatch, complete_digests, level_of, verify_held
from v2x.migrate.work import Work
from v2x.model.changes import differences
from v2x.model.machine import Disk
from v2x.model.migration import DiskResult, VerifyLevel
from v2x.model.units import show_bytes
from v2x.sources.interface import Checkpoint, Confirms, Integrity, Notes
from v2x.target.interface import (
    Claim,
    ClaimedDisk,
    ReadBack,
    Remarks,
    Room,
    Starts,
    Surveys,
    surroundings_of,
)


def _refuse_changed(work: Work) -> None:
    """InputRefused where the machine is not at its source any more, or not as it was when it was listed."""
    before = work.machine
    now = work.listings.machine(work.source_name, work.source, before.id)
    found = ("it is not there any more",) if now is None else differences(before, now)
    if found:
        raise InputRefused(
            f"{before.name} is not as the plan has it: {'; '.join(found)}",
            code="SOURCE-DIFFERS",
            hint="v2x plan check shows what changed and takes it with --accept-changes; then run the plan again",
        )


def preflight(work: Work) -> None:
    """Everything that can be known to fail is refused here, before anything is written."""
    found = work.target.find(work.tag)
    if found is not None and found.sealed:
        # The run that sealed it may have been killed before it had tidied up.
        work.target.seal(found, work.spec)
        work.claim, work.already = found, True
        return
    machine = work.machine
    if work.look_again and found is None:
        _refuse_changed(work)
    refuse_unreadable(machine)
    if machine.is_template and not work.spec.is_template:
        raise InputRefused(
            f"{machine.name} is a template",
            code="TEMPLATE",
            hint="make a template of it there (--as-template), or deploy a machine from it first",
        )
    if not work.warm:
        refuse_running(work)
        rehearse(work)
    if work.convert:
        require_libguestfs()
    _check_room(work, found)


def _check_room(work: Work, found: Claim | None) -> None:
    target, spec = work.target, work.spec
    around = target.survey(spec) if isinstance(target, Surveys) else surroundings_of(target.facts(), spec)
    if around.name_used:
        raise Conflict(
            f"a machine named {spec.name} is already on {around.place}",
            code="NAME-USED",
            hint="choose another target name (--name), or rename or remove the other one",
        )
    for used in around.macs:
        if found is None or used.machine != found.name:
            raise Conflict(
                f"MAC address {used.mac} is already used by {used.machine}",
                code="MAC-USED",
                hint="let the pool make a new one (--mac new), or remove the other adapter",
            )
    _reserve(work, found, around.storage)


def _reserve(work: Work, found: Claim | None, storage: Sequence[Room]) -> None:
    """Promises the machine its room on the SRs, beside what other machines of the run are still to take.

    A machine that was begun before goes on with what it has: it is promised its room without a look at what is free.
    """
    work.thick = frozenset(room.uuid for room in storage if not room.thin)
    wanted: dict[str, int] = {}
    done = {one.source_disk for one in (found.disks if found else ()) if one.mark_bytes >= one.size_bytes}
    for disk in work.spec.disks:
        if disk.source_disk in done:
            continue  # the pool counts what it took
        # A thin SR takes what the disk holds; where the source does not tell that, nothing can be counted.
        held = work.source_disk(disk.source_disk).allocated_bytes or 0
        need = disk.size_bytes if disk.sr in work.thick else min(held, disk.size_bytes)
        wanted[disk.sr] = wanted.get(disk.sr, 0) + need
    free = {room.uuid: room.free_bytes for room in storage if room.free_bytes is not None}
    if found is not None:
        work.reservations.hold(work.tag, work.place, wanted)
        count_room(work, free)
        return
    full = work.reservations.promise(work.tag, work.place, wanted, free)
    if full:
        promised = work.reservations.promised_to_others(work.tag, work.place, full)
        beside = f", {show_bytes(promised)} of it for machines that are on their way" if promised else ""
        name = next(room.name for room in storage if room.uuid == full)
        raise NoSpace(
            f"{name} has {show_bytes(free[full])} free{beside}; {work.machine.name} needs {show_bytes(wanted[full])}",
            hint="free some space, or choose another SR (--sr)",
        )
    count_room(work, free)


def checkpoint(work: Work) -> None:
    """The point in time that is copied; a running machine is brought down first where its row says so."""
    wait_for_backup(work)
    bring_down(work)
    work.checkpoint = once_free(work, lambda: work.source.checkpoint(work.machine, work.tag))
    tell(work)


def tell(work: Work) -> None:
    """Passes on what the source has to say of what it did."""
    if isinstance(work.source, Notes):
        for note in work.source.notes(work.machine):
            work.observer.warning(note)


def claim(work: Work) -> None:
    """Machine and disks on the target, blocked from starting; disks of another point in time are made anew."""
    held = work.claim = work.target.claim(work.spec, work.tag)
    work.patchable = patchable(work, held)
    disks: list[ClaimedDisk] = []
    for disk in held.disks:
        wanted = work.point_of(disk.source_disk)
        if is_of(work, disk):
            disks.append(disk)
        elif wanted and (back := went_back(work, disk, wanted)) is not None:
            disks.append(back)
        else:
            why = "is converted anew" if work.convert else "changed at the source since the last run"
            work.observer.warning(f"{work.source_disk(disk.source_disk).label} {why}; copied anew")
            disks.append(work.target.remake(held, disk))
    work.claim = replace(held, disks=tuple(disks))
    for planned in work.spec.disks:
        if planned.sr in work.thick:
            work.reservations.taken(work.tag, work.place, planned.sr, planned.size_bytes)
    for note in held.notes:
        work.observer.warning(note)


def copy(work: Work) -> None:
    """Copies and, as far as asked for, verifies each disk; the source's own digests are checked meanwhile."""
    if isinstance(work.source, Integrity):
        work.integrity = IntegrityCheck(work.source, work.machine)
    work.results.clear()
    with converted(work):
        for disk in work.held_claim().disks:
            work.results.append(_copied_and_verified(work, disk))


def _copied_and_verified(work: Work, disk: ClaimedDisk) -> DiskResult:
    source = work.source_disk(disk.source_disk)
    if parted(disk.point)[1]:
        disk = _unconverted(work, disk) or disk
    try:
        return _copied(work, disk, source)
    except VerifyMismatch as problem:
        differs = problem
    back = _unconverted(work, disk)
    try:
        if back is not None:
            work.observer.warning(f"{differs.message}; its conversion is written once more")
            return _copied(work, back, source)
    except VerifyMismatch as problem:
        differs = problem
    work.observer.warning(f"{differs.message}; copied once more")
    again = work.target.remake(work.held_claim(), disk)
    disks = tuple(again if d.source_disk == disk.source_disk else d for d in work.held_claim().disks)
    work.claim = replace(work.held_claim(), disks=disks)
    return _copied(work, again, source)


def _unconverted(work: Work, disk: ClaimedDisk) -> ClaimedDisk | None:
    """The disk as it was before its conversion, of which it gets a patch; None where it was not kept."""
    point = work.point_of(disk.source_disk)
    return went_back(work, disk, point) if disk.source_disk in work.patchable and point else None


def _copied(work: Work, disk: ClaimedDisk, source: Disk) -> DiskResult:
    at = work.held_checkpoint()
    reader = _opened(work, source, at)
    try:
        if reader.size > disk.size_bytes:
            raise SourceError(
                f"{source.label} has {reader.size:,} bytes, its place on the target {disk.size_bytes:,}",
                hint="the disk grew since it was listed: discard the claim with v2x cleanup and begin again",
            )

        def stopping() -> bool:
            return work.stopping() or (work.integrity is not None and work.integrity.failed())

        try:
            done = begun_copy(disk, reader) or copy_disk(
                reader,
                work.target,
                work.held_claim(),
                disk,
                work.point_of(source.id),
                _observer(work, source),
                label=source.label,
                stopping=stopping,
                pace=work.pace,
            )
            if source.id in work.patchable:
                after = work.converted[source.id].after
                patched = patch(work, done.disk, source, after)
                done = with_patch(work, done, patched, after.reader, stopping)
        except Exception:
            _raise_integrity(work)
            raise
        return _result(done, reader.size, source, verified=_verified(work, done, reader, source, stopping))
    finally:
        reader.close()


def _observer(work: Work, source: Disk) -> Observer:
    """The work's observer; on thin storage, what is sent is taken from the promise as it goes."""
    storage = next(disk.sr for disk in work.spec.disks if disk.source_disk == source.id)
    if storage in work.thick:
        return work.observer
    return Taking(work.observer, lambda count: work.reservations.taken(work.tag, work.place, storage, count))


def _opened(work: Work, source: Disk, at: Checkpoint) -> DiskReader:
    if source.id in work.converted:
        found = work.converted[source.id]
        reader = (found.before if source.id in work.patchable else found.after.reader).clone()
        return ZeroScan(reader) if work.read_all else reader
    reader = once_free(work, lambda: work.source.reader(work.machine, source, at))
    tell(work)
    if work.stage is not None:
        reader = staged(reader, work.stage, f"{work.tag}-{source.position}")
    return ZeroScan(reader) if work.read_all else reader


def _raise_integrity(work: Work) -> None:
    if work.integrity is not None and work.integrity.failed():
        work.integrity.result()


def _verified(work: Work, done: DiskCopy, reader: DiskReader, source: Disk, stopping: Callable[[], bool]) -> Verified:
    level = level_of(work, done.disk)
    if level is VerifyLevel.NONE or not isinstance(work.target, ReadBack):
        return Verified(VerifyLevel.NONE)
    if done.resumed_at_bytes:
        done.digests = complete_digests(reader, done.blocks, done.digests, stopping)
    return verify_held(
        work.target,
        work.held_claim(),
        done.disk,
        done.digests.record(BLOCK_BYTES, reader.size),
        level,
        work.observer,
        label=source.label,
        stopping=stopping,
    )


def _result(done: DiskCopy, size_bytes: int, source: Disk, *, verified: Verified) -> DiskResult:
    return DiskResult(
        source_disk=source.id,
        label=source.label,
        vdi=done.disk.id,
        capacity_bytes=size_bytes,
        target_bytes=done.disk.size_bytes,
        data_bytes=(len(done.blocks) - done.empty) * BLOCK_BYTES,
        sent_bytes=done.sent_bytes,
        resumed_at_bytes=done.resumed_at_bytes,
        segments=done.segments,
        seconds=done.seconds,
        verified=verified.level,
        verified_over=verified.over,
        digests=done.digests.record(BLOCK_BYTES, size_bytes) if len(done.digests) == len(done.blocks) else None,
    )


def integrity(work: Work) -> None:
    """The source's own digests must hold, and its machine have been left alone, before anything is sealed."""
    if work.integrity is not None:
        work.integrity.result()
    if isinstance(work.source, Confirms):
        work.source.confirm(work.machine, work.held_checkpoint())


def seal(work: Work) -> None:
    """The success marker, last; before it the source is kept from coming back with the same addresses, where asked."""
    if work.keep_off:
        stay_off(work)
        tell(work)
    work.target.seal(work.held_claim(), work.spec)
    if isinstance(work.target, Remarks):
        for remark in work.target.remarks(work.held_claim()):
            work.observer.warning(remark)


def start(work: Work) -> None:
    """Only where asked; a machine that was migrated before is left as it is."""
    if work.start and not work.spec.is_template and isinstance(work.target, Starts):
        work.target.start(work.held_claim())
        work.started = True


def release(work: Work) -> None:
    let_go(work)
    tell(work)
