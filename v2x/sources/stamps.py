# SPDX-License-Identifier: Apache-2.0
"""Points in time of files: a text that is equal as long as a file was not written to."""

from collections.abc import Iterable

from v2x.disks.interface import ByteSource, Stamped
from v2x.disks.listing import Listing
from v2x.errors import BadImage, SourceError, Unsupported
from v2x.model.machine import Disk, DiskBacking
from v2x.sources.chunks import ChunkListing
from v2x.sources.ova import OvaListing


def stamp(listing: Listing, name: str) -> str:
    """The write identifier of one file; for a member of an archive, that of the archive and the member's place."""
    if isinstance(listing, ChunkListing):
        return "+".join(stamp(listing.inner, part) for part in listing.parts(name))
    if isinstance(listing, OvaListing):
        member = listing.member(name)
        return f"{listing.write_id}@{member.offset}+{member.size}"
    source = listing.open(name)
    try:
        written = source.write_id if isinstance(source, Stamped) else str(source.size)
        return f"{written}{_own_ids(source)}"
    finally:
        source.close()


def _own_ids(source: ByteSource) -> str:
    """What the file itself says of its writes; nothing for what does not, or what is damaged."""
    if not source.name.lower().endswith((".vhdx", ".avhdx")):
        return ""
    from v2x.disks.vhdx import write_ids

    try:
        return f":{write_ids(source)}"
    except (BadImage, Unsupported):
        return ""


def disk_point(listing: Listing, disk: Disk, files: Iterable[str]) -> str:
    """The point of a disk whose bytes lie in `files`: equal if and only if none of them was written to."""
    if disk.backing is not DiskBacking.FILE:
        return f"{disk.backing}:{disk.capacity_bytes}"
    return " ".join(f"{name}={stamp(listing, name)}" for name in files)


def check_point(expected: str, found: str, disk: Disk) -> None:
    """SourceError if a disk's files were written to since its checkpoint."""
    if expected != found:
        raise SourceError(
            f"the files of disk {disk.label} changed since the copy began",
            hint="make sure that nothing writes to them, then run the same command again",
            code="SOURCE-CHANGED",
        )
