# SPDX-License-Identifier: Apache-2.0
"""What all sources of local files have in common: checkpoints that create nothing, and readers that check them."""

from collections.abc import Callable
from datetime import UTC, datetime

from v2x.disks.interface import DiskReader, SeveralAtOnce
from v2x.disks.listing import Listing
from v2x.disks.stored import LocalDisk
from v2x.errors import InputRefused, SourceError, Unsupported
from v2x.model.machine import Disk, DiskBacking, Machine
from v2x.sources.empty import EmptyDisk
from v2x.sources.images import image_files, open_image
from v2x.sources.interface import Checkpoint
from v2x.sources.stamps import check_point, disk_point

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


def file_checkpoint(listing: Listing, machine: Machine, tag: str) -> Checkpoint:
    """The write identifiers of all files of all disks. A disk that cannot be read has a point all the same."""
    points = {disk.id: file_point(listing, disk) for disk in machine.disks}
    return Checkpoint(tag=tag, machine_id=machine.id, points=points)


def file_reader(listing: Listing, machine: Machine, disk: Disk, at: Checkpoint, *, local: bool = True) -> DiskReader:
    """Opens a disk if its files are those of the checkpoint; a LocalDisk unless `local` says that they are far away.

    Errors: SourceError if they were written to since, Unsupported for packed, encrypted and pass-through disks,
    InputRefused MISSING-FILE for a disk whose file is not there.
    """
    if disk.backing is DiskBacking.EMPTY:
        return EmptyDisk(disk.capacity_bytes)
    _require_readable(disk)
    if at.machine_id != machine.id or disk.id not in at.points:
        raise SourceError(
            f"the checkpoint {at.tag} does not know disk {disk.label} of {machine.name}", hint="run the command again"
        )
    check_point(at.points[disk.id], file_point(listing, disk), disk)
    reader = open_image(listing, disk.files, disk.format)
    if reader.size != disk.capacity_bytes and disk.capacity_bytes:
        size = reader.size
        reader.close()
        raise SourceError(
            f"disk {disk.label} has {size:,} bytes, the inventory says {disk.capacity_bytes:,}",
            hint="take the inventory again; the files were exchanged since",
            code="SOURCE-CHANGED",
        )
    # What another program reads is told apart by its wish for several readers at once, which LocalDisk would hide.
    return LocalDisk(reader) if local and not isinstance(reader, SeveralAtOnce) else reader


def file_confirm(listing: Listing, machine: Machine, at: Checkpoint) -> None:
    """SourceError SOURCE-CHANGED if the files of a disk are not those of the checkpoint any more."""
    for disk in machine.disks:
        file_recheck(listing, disk, at)


def file_recheck(listing: Listing, disk: Disk, at: Checkpoint) -> None:
    """The same for one disk."""
    check_point(at.points.get(disk.id, ""), file_point(listing, disk), disk)


def file_point(listing: Listing, disk: Disk) -> str:
    """The write identifiers of all files that the disk's bytes lie in."""
    if disk.backing is not DiskBacking.FILE or disk.compression:
        return f"{disk.backing}:{disk.capacity_bytes}:{disk.compression}"
    try:
        files = image_files(listing, disk.files, disk.format)
    except InputRefused:
        # The reader gives the reason; a point is still needed to compare with.
        files = disk.files
    return disk_point(listing, disk, files)


def _require_readable(disk: Disk) -> None:
    first = disk.files[0] if disk.files else disk.label
    if disk.backing is DiskBacking.MISSING:
        raise InputRefused(
            f"disk {disk.label}: {first} is missing or not named plainly",
            code="MISSING-FILE",
            hint="put the file beside the descriptor under a plain name, or leave the disk out of the plan",
        )
    if disk.backing is not DiskBacking.FILE:
        raise Unsupported(
            f"disk {disk.label} is a device of the source host, not a file",
            hint="attach the device to the new machine, or copy it with a tool inside the guest",
        )
    if disk.encrypted:
        raise Unsupported(f"disk {disk.label} is encrypted", hint="decrypt the machine at the source, then export it")
    if disk.compression:
        raise Unsupported(
            f"disk {disk.label}: {first} is compressed with {disk.compression}",
            hint=f"unpack it (for gzip: gunzip {first}) and remove ovf:compression from the descriptor and "
            "the file from the manifest",
        )
