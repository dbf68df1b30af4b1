# SPDX-License-Identifier: Apache-2.0
"""Disks kept on the target before they are changed, and put back there instead of being read from the source again.

All of it is a help, and nothing counts on it: where a target cannot keep a disk, has no room, or refuses to put one
back, that is said, and what the disk lacks is sent again (docs/adr/0026).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.migrate.digests import DigestTable, recorded
from v2x.migrate.points import parted
from v2x.model.migration import DiskResult
from v2x.model.units import MIB
from v2x.target.interface import ClaimedDisk
from v2x.target.keeping import GoesBack, Moment, NotKept

if TYPE_CHECKING:
    from v2x.migrate.work import Work

_DELTA_SHARE = 0.1
"""Of what a disk holds, what later passes write anew; that costs its room twice while the old is kept."""
_GUEST_BYTES = 256 * MIB
"""What a conversion writes anew, most of it initial RAM disks."""


_WHEN = {
    Moment.DELTA: " before its first changes",
    Moment.VERIFIED: "",
    Moment.GUEST: " before its guest is converted",
}


def room_beside(work: "Work") -> dict[str, int]:
    """Bytes by thin SR that keeping the disks will take beside the disks themselves, as far as that can be foretold."""
    wanted: dict[str, int] = {}
    for number, disk in enumerate(work.spec.disks):
        if disk.sr not in work.thick and isinstance(work.target, GoesBack):
            more = int((work.source_disk(disk.source_disk).allocated_bytes or 0) * _DELTA_SHARE) if work.warm else 0
            more += _GUEST_BYTES if work.convert and number == 0 else 0
            wanted[disk.sr] = wanted.get(disk.sr, 0) + more
    return {sr: more for sr, more in wanted.items() if more}


def count_room(work: "Work", free: Mapping[str, int]) -> None:
    """Notes the room for what is kept beside all promises; without it, nothing is kept, which is said."""
    wanted = room_beside(work)
    full = work.reservations.spare(work.tag, work.place, wanted, free)
    if full:
        left_out = {disk.source_disk for disk in work.spec.disks if disk.sr in full}
        work.unkept.update((disk, moment) for disk in left_out for moment in Moment)
        work.observer.warning(
            "its disks are not kept by snapshots on the pool, where there is no room for that; "
            "what goes wrong is sent again from the source"
        )


def keep_before(work: "Work", disk: ClaimedDisk, moment: Moment, room_bytes: int) -> None:
    """Keeps the disk as it is, where its target can; else a note, once."""
    target = work.target
    if not isinstance(target, GoesBack) or (disk.source_disk, moment) in work.unkept:
        return
    sr = next((planned.sr for planned in work.spec.disks if planned.source_disk == disk.source_disk), "")
    room_bytes += work.reservations.promised_to_others(work.tag, work.place, sr)
    why, when, lost = "its storage is not thin", "", tuple(Moment)
    try:
        if target.remember(work.held_claim(), disk, moment, room_bytes):
            return
    except NotKept as problem:
        why, when, lost = problem.message, _WHEN[moment], (moment,)
    work.unkept.update((disk.source_disk, one) for one in lost)
    label = work.source_disk(disk.source_disk).label
    work.observer.warning(
        f"{label} is not kept by a snapshot on the pool{when}, since {why}; "
        "what goes wrong is sent again from the source"
    )


def went_back(work: "Work", disk: ClaimedDisk, point: str = "") -> ClaimedDisk | None:
    """The disk as it was kept last, or at `point`, in its place and in the claim; None where that cannot be.

    Digests of a conversion that goes with it are forgotten; those of passes stay, since these are made again.
    """
    target = work.target
    if not isinstance(target, GoesBack):
        return None
    found = target.find(work.tag)
    now = next((one for one in (found.disks if found else ()) if one.source_disk == disk.source_disk), disk)
    label = work.source_disk(disk.source_disk).label
    try:
        back = target.go_back(work.held_claim(), disk, point)
    except NotKept as problem:
        work.observer.warning(f"{label} is not put back to its snapshot on the pool, since {problem.message}")
        return None
    if back is None:
        return None
    held = work.held_claim()
    disks = tuple(back if one.source_disk == disk.source_disk else one for one in held.disks)
    work.claim = replace(held, disks=disks)
    touched = frozenset(parted(now.point)[1])
    work.results[:] = [_without(one, touched) if one.source_disk == disk.source_disk else one for one in work.results]
    work.observer.warning(f"{label} was put back to its snapshot on the pool")
    return back


def _without(result: DiskResult, blocks: frozenset[int]) -> DiskResult:
    """The result without what it says of `blocks`."""
    if result.digests is None or not blocks:
        return result
    table = DigestTable()
    for number, digest in recorded(result.digests):
        if number not in blocks:
            table.add(number, digest)
    unverified = result.unverified
    if unverified is not None:
        kept = (number for first, count in unverified for number in range(first, first + count))
        unverified = tuple((number, 1) for number in kept if number not in blocks)
    return replace(result, digests=table.record(BLOCK_BYTES, result.digests.size_bytes), unverified=unverified)
