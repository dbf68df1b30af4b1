# SPDX-License-Identifier: Apache-2.0
"""What vSphere's change tracking says of a disk, and when that may be believed.

QueryChangedDiskAreas with the change id `*` gives the areas in use at a snapshot, if tracking was on when it was taken
(on NFS it names the whole disk). The next offset is the answer's own offset plus its length: an answer without areas
says only that its own part of the disk has none. An offset at the disk's end is refused by the server.
"""

from collections.abc import Iterator
from typing import Final

from v2x.disks.allocation import AllocationMap, Mapped, first_contradiction
from v2x.disks.interface import DiskReader
from v2x.errors import InputRefused, SourceError, V2xError
from v2x.model.units import show_bytes
from v2x.sources.vsphere.session import VsphereSession
from v2x.sources.vsphere.transports.options import Allocation, TransportOptions
from v2x.sources.vsphere.transports.place import DiskPlace

ALL_IN_USE: Final = "*"


def areas(session: VsphereSession, place: DiskPlace, since: str) -> Iterator[tuple[int, int]]:
    """(start, length) of the areas that changed since a change id, or with `*` are in use, ascending.

    SourceError TRACKING for an answer that makes no progress or leaves its own bounds, besides the server's faults.
    """
    at = 0
    while at < place.capacity_bytes:
        answer = session.read(
            place.machine_ref.QueryChangedDiskAreas,
            snapshot=place.snapshot_ref,
            deviceKey=place.key,
            startOffset=at,
            changeId=since,
            doing="asking for changed areas",
            subject=place.title,
        )
        begin, end = int(answer.startOffset), int(answer.startOffset) + int(answer.length)
        if begin > at or end <= at:
            raise _wrong(place, f"bytes {begin:,} to {end:,} where {at:,} was asked for")
        for area in answer.changedArea or []:
            start, length = int(area.start), int(area.length)
            if start < begin or start + length > end or length < 0:
                raise _wrong(place, f"an area at {start:,} outside of {begin:,} to {end:,}")
            # Areas before the offset that was asked for are known already.
            skip = max(0, min(length, at - start))
            if length > skip:
                yield start + skip, length - skip
        at = end


def _wrong(place: DiskPlace, what: str) -> SourceError:
    return SourceError(
        f"{place.title}: change tracking answers {what}", code="TRACKING", hint="copy with --allocation read-all"
    )


def doubt(place: DiskPlace) -> str:
    """Why the areas in use cannot be known from change tracking; empty if they can."""
    if not place.tracked_before:
        return "change tracking was off before this run"
    if not place.tracked:
        return "it has no valid change id at this point in time"
    return ""


def areas_in_use(session: VsphereSession, place: DiskPlace) -> AllocationMap:
    """The areas in use. InputRefused TRACKING where they cannot be known; else the errors of `areas`."""
    why = doubt(place)
    if why:
        raise InputRefused(
            f"{place.title}: the areas in use are not known: {why}",
            code="TRACKING",
            hint="--allocation auto reads everything instead",
        )
    return AllocationMap(place.capacity_bytes, areas(session, place, ALL_IN_USE))


def with_allocation(
    session: VsphereSession, place: DiskPlace, reader: DiskReader, options: TransportOptions
) -> DiskReader:
    """`reader` with the areas in use where they are known and hold against samples; else as it is.

    InputRefused TRACKING where `--allocation cbt` asks for what cannot be had. A sample that contradicts them is a
    warning, and everything is read.
    """
    if options.allocation is Allocation.READ_ALL:
        return reader
    try:
        map = areas_in_use(session, place)
    except V2xError:
        if options.allocation is Allocation.CBT:
            raise
        return reader
    found = first_contradiction(reader, map, f"{place.point.snapshot}/{place.key}/{place.change_id}")
    if found is not None:
        options.warn(
            f"{place.title}: change tracking calls {show_bytes(found.length)} at byte {found.start:,} unused, and "
            "data is there; everything is read"
        )
        return reader
    return Mapped(reader, map)
