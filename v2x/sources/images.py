# SPDX-License-Identifier: Apache-2.0
"""Disk images in a listing, by the format that their descriptor states: what they are, and a reader for each."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from v2x.disks.interface import DiskReader
from v2x.disks.listing import FolderListing, Listing, plain_name
from v2x.errors import Unsupported
from v2x.model.machine import Disk, DiskBacking, DiskFormat, Other
from v2x.sources.ova import OvaListing

SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What an image's own headers say. `chain` are its images, the one in use first; `files` every file it needs.

    `missing` and `problem` are why it cannot be read, or empty.
    """

    capacity_bytes: int
    allocated_bytes: int | None = None
    subformat: str = ""
    encrypted: bool = False
    raw_device: bool = False
    adapter: str = ""
    uuid: str = ""
    sector_bytes: int | None = None
    chain: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    problem: str = ""


def describe_image(listing: Listing, chain: Sequence[str], kind: DiskFormat | Other) -> ImageFacts | None:
    """Facts of the image `chain[0]`; None for a format whose headers are not looked at here.

    A chain of one name means that the image itself tells its parents. Errors: InputRefused when the image itself
    cannot be read.
    """
    name = chain[0]
    match kind:
        case DiskFormat.VMDK:
            return _describe_vmdk(listing, chain)
        case DiskFormat.RAW:
            with closing(listing.open(name)) as source:
                size, variant = -(-source.size // SECTOR_BYTES) * SECTOR_BYTES, ""
        case DiskFormat.VHD | DiskFormat.VHDX:
            return _describe_differencing(listing, chain, kind)
        case DiskFormat.QCOW2:
            from v2x.disks.probe import check_image

            with closing(listing.open(name)) as source:
                found = check_image(source, kind)
            size, variant = found.size_bytes, found.variant
        case _:
            return None
    return ImageFacts(capacity_bytes=size, subformat=variant, chain=(name,), files=(name,))


def image_files(listing: Listing, chain: Sequence[str], kind: DiskFormat | Other) -> tuple[str, ...]:
    """Every file that holds a part of the image: its chain and their extents."""
    facts = describe_image(listing, chain, kind)
    return facts.files if facts is not None else tuple(chain)


def open_image(listing: Listing, chain: Sequence[str], kind: DiskFormat | Other) -> DiskReader:
    """A reader of the image `chain[0]` on top of the rest of its chain. The caller closes it.

    Unsupported, with what to do, for a format that is not read from such a listing.
    """
    name = plain_name(chain[0])
    if kind is DiskFormat.VMDK:
        from v2x.disks.vmdk import open_vmdk

        return open_vmdk(listing, name, chain=chain if len(chain) > 1 else None)
    if kind is DiskFormat.VHD:
        from v2x.disks.vhd import open_vhd

        return open_vhd(listing, name, chain=chain if len(chain) > 1 else None)
    if kind is DiskFormat.VHDX:
        from v2x.disks.vhdx import open_vhdx

        return open_vhdx(listing, name, chain=chain if len(chain) > 1 else None)
    if len(chain) > 1:
        raise Unsupported(
            f"{name} is a {_word(kind)} image on top of {chain[1]}",
            hint="export the machine without snapshots, so that its disks are single files",
        )
    if kind is DiskFormat.RAW:
        from v2x.disks.raw import RawReader

        return RawReader(listing.open(name))
    if isinstance(kind, Other):
        raise Unsupported(
            f"{name} is of the format {kind.text[:120] or 'unknown'!r}, which v2x does not read",
            hint="convert it to VMDK, VHD, VHDX, QCOW2 or raw, and say so in the descriptor",
        )
    from v2x.disks.qcow2 import open_qcow2

    return open_qcow2(listing, name) or _open_with_qemu(listing, name, kind)


def _open_with_qemu(listing: Listing, name: str, kind: DiskFormat) -> DiskReader:
    from v2x.disks.nbd import open_through_qemu

    if isinstance(listing, FolderListing):
        return open_through_qemu(listing.folder / name, kind)
    if isinstance(listing, OvaListing):
        member = listing.member(name)
        return open_through_qemu(listing.path, kind, window=(member.offset, member.size))
    raise Unsupported(
        f"{name} is a {_word(kind)} disk in chunks, and such a disk is read from one file only",
        hint=f"join the chunks with cat {name}.* > {name} and remove ovf:chunkSize from the descriptor",
    )


def _word(kind: DiskFormat | Other) -> str:
    return kind.text[:80] if isinstance(kind, Other) else kind.value.upper()


def _describe_vmdk(listing: Listing, chain: Sequence[str]) -> ImageFacts:
    from v2x.disks.vmdk import describe_vmdk

    info = describe_vmdk(listing, chain[0], chain=chain if len(chain) > 1 else None)
    return ImageFacts(
        capacity_bytes=info.capacity_bytes,
        allocated_bytes=info.allocated_bytes,
        subformat=info.create_type,
        encrypted=info.encrypted,
        raw_device=bool(info.raw_device),
        adapter=info.adapter_type,
        uuid=info.uuid,
        chain=info.chain,
        files=info.files,
        missing=info.missing,
        problem=info.problem,
    )


def _describe_differencing(listing: Listing, chain: Sequence[str], kind: DiskFormat) -> ImageFacts:
    from v2x.disks.vhd import describe_vhd
    from v2x.disks.vhdx import describe_vhdx

    describe = describe_vhd if kind is DiskFormat.VHD else describe_vhdx
    found = describe(listing, chain[0], chain=chain if len(chain) > 1 else None)
    return ImageFacts(
        capacity_bytes=found.capacity_bytes,
        allocated_bytes=found.allocated_bytes,
        subformat=found.variant,
        sector_bytes=found.sector_bytes,
        chain=found.chain,
        files=found.chain,
        missing=found.missing,
        problem=found.problem,
    )


def with_facts(disk: Disk, facts: ImageFacts, files: Sequence[str]) -> Disk:
    """The disk with what the headers of its files say."""
    return replace(
        disk,
        capacity_bytes=facts.capacity_bytes,
        allocated_bytes=facts.allocated_bytes,
        subformat=facts.subformat,
        logical_sector_bytes=facts.sector_bytes,
        files=tuple(files),
        backing=DiskBacking.MISSING if facts.missing else DiskBacking.FILE,
    )
