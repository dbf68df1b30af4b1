# SPDX-License-Identifier: Apache-2.0
"""Disks that a machine gains, loses or enlarges while it is migrated: the planned machine follows.

What was planned of the other disks stays as it is. The same source makes the same plan of it, so that another life of
the program, which knows the old plan only, ends up with the same disks on the target.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from v2x.errors import InputRefused, SourceError
from v2x.migrate.readable import refuse_unreadable
from v2x.migrate.work import Work
from v2x.model.machine import Disk, Machine
from v2x.model.target import ImageFormat, TargetDisk, TargetMachine
from v2x.model.units import GIB, show_bytes
from v2x.sources.interface import Reshapes
from v2x.target.interface import Claim, ClaimedDisk, DropsDisks

_MOST_VHD_BYTES = 2040 * GIB


def follow(work: Work) -> bool:
    """Makes work and claim those of the machine's disks as they are now; whether anything changed."""
    now = work.source.current(work.machine) if isinstance(work.source, Reshapes) else work.machine
    changed = now is not work.machine
    if not changed and work.claim is not None:
        return False
    found = work.target.find(work.tag)
    if changed:
        held = {disk.source_disk: disk for disk in found.disks} if found is not None else {}
        work.machine = replace(work.machine, disks=tuple(_disks(work, now, held)))
        work.spec = reshaped(work.spec, work.machine)
    if found is not None and not found.sealed:
        _drop_lost(work, found)
    return changed


def _disks(work: Work, now: Machine, held: Mapping[str, ClaimedDisk]) -> Iterator[Disk]:
    """What is known of the disks before goes on being so; what is on the target already was told of before."""
    known = {disk.id: disk for disk in work.machine.disks}
    last = max((disk.position for disk in work.machine.disks), default=-1)
    for found in now.disks:
        before, copy = known.get(found.id), held.get(found.id)
        size = show_bytes(found.capacity_bytes)
        if before is None:
            last += 1
            yield _new(now, found, last)
            if copy is None and not found.lent_by:
                work.observer.warning(f"{found.label} ({size}) is new at the source: it is copied too")
            continue
        if before.capacity_bytes != found.capacity_bytes and (copy is None or copy.size_bytes < found.capacity_bytes):
            work.observer.warning(f"{before.label} had {show_bytes(before.capacity_bytes)} at the source, now {size}")
        yield replace(before, capacity_bytes=found.capacity_bytes)


def _new(now: Machine, disk: Disk, position: int) -> Disk:
    """SourceError for one that cannot be copied: what was copied of the others stays."""
    if disk.lent_by:
        return disk
    try:
        refuse_unreadable(replace(now, disks=(disk,)))
    except InputRefused as problem:
        hint = f"{problem.hint}; or take it off the machine"
        raise SourceError(f"{problem.message}, and new there", code=problem.code, hint=hint) from None
    # It may have been written to before its changes were tracked.
    return replace(disk, position=position, change_tracking=False)


def reshaped(spec: TargetMachine, machine: Machine) -> TargetMachine:
    """The planned machine with the disks of `machine`: a new one goes where the first one does.

    SourceError where a disk became smaller, or where there is none whose place a new one could share.
    """
    own = {disk.id: disk for disk in machine.disks if not disk.lent_by}
    kept = [_resized(disk, own[disk.source_disk]) for disk in spec.disks if disk.source_disk in own]
    known = {disk.source_disk for disk in kept}
    for disk in own.values():
        if disk.id in known:
            continue
        if not spec.disks:
            raise SourceError(
                f"{disk.label} is new at {machine.name}, which had no disk when it was planned",
                code="SOURCE-CHANGED",
                hint="draft the plan again (v2x plan draft)",
            )
        kept.append(_added(spec, kept, disk))
    return replace(spec, disks=tuple(kept))


def _resized(planned: TargetDisk, disk: Disk) -> TargetDisk:
    return replace(planned, size_bytes=max(planned.size_bytes, disk.capacity_bytes))


def _added(spec: TargetMachine, disks: list[TargetDisk], disk: Disk) -> TargetDisk:
    like = spec.disks[0]
    used = {one.device for one in disks} | {spec.cd_device}
    device = next(str(number) for number in range(len(used) + 1) if str(number) not in used)
    return replace(
        like,
        source_disk=disk.id,
        name=f"{spec.name} {disk.label or disk.id}",
        description=f"v2x: from {disk.id}, added while its machine was migrated",
        size_bytes=max(disk.capacity_bytes, 2 * 1024**2),
        device=device,
        bootable=False,
        image_format=ImageFormat.QCOW2 if disk.capacity_bytes > _MOST_VHD_BYTES else like.image_format,
    )


def _drop_lost(work: Work, found: Claim) -> None:
    """The target's disks of those that the source has no more go; the claim is made anew after that."""
    planned = {disk.source_disk for disk in work.spec.disks}
    for disk in found.disks:
        if disk.source_disk in planned or not isinstance(work.target, DropsDisks):
            continue
        work.observer.warning(f"disk {disk.source_disk} is gone from the source: its copy is removed")
        work.target.drop(found, disk)
        work.results[:] = [one for one in work.results if one.source_disk != disk.source_disk]
