# SPDX-License-Identifier: Apache-2.0
"""Disk images in a listing, by the format that their descriptor states: what they are, and a reader for each."""

import struct
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from v2x.disks.interface import ByteSource, DiskReader
from v2x.disks.listing import FolderListing, Listing, plain_name
from v2x.errors import BadImage, Unsupported
from v2x.model.machine import DiskFormat, Other

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
                size = -(-source.size // SECTOR_BYTES) * SECTOR_BYTES
        case DiskFormat.QCOW2:
            with closing(listing.open(name)) as source:
                size = _qcow2_bytes(source)
        case DiskFormat.VHD:
            with closing(listing.open(name)) as source:
                size = _vhd_bytes(source)
        case _:
            return None
    return ImageFacts(capacity_bytes=size, chain=(name,), files=(name,))


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
    return _open_with_qemu(listing, name, kind)


def _open_with_qemu(listing: Listing, name: str, kind: DiskFormat) -> DiskReader:
    from v2x.disks.nbd import open_through_qemu

    if isinstance(listing, FolderListing):
        with closing(listing.open(name)):
            return open_through_qemu(listing.folder / name, kind)
    raise Unsupported(
        f"{name} is a {_word(kind)} disk inside an archive; there only VMDK and raw disks are read in place",
        hint="unpack the archive with tar -xf and give the .ovf file",
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


def _qcow2_bytes(source: ByteSource) -> int:
    """The virtual size in a QCOW2 header: big-endian u64 at byte 24 (qemu, docs/interop/qcow2.txt)."""
    header = _read(source, 0, 32)
    if header[:4] != b"QFI\xfb":
        raise BadImage(f"{source.name} is not a QCOW2 image", hint="its descriptor says it is; export it again")
    return _bounded(source, int(struct.unpack_from(">Q", header, 24)[0]))


def _vhd_bytes(source: ByteSource) -> int:
    """The current size in a VHD footer: big-endian u64 at byte 48 (Microsoft, VHD Image Format Specification)."""
    footer = _read(source, source.size - SECTOR_BYTES, SECTOR_BYTES)
    if footer[:8] != b"conectix":
        raise BadImage(f"{source.name} is not a VHD image", hint="it is truncated or damaged; copy it again")
    return _bounded(source, int(struct.unpack_from(">Q", footer, 48)[0]))


def _read(source: ByteSource, offset: int, length: int) -> bytes:
    if offset < 0 or offset + length > source.size:
        raise BadImage(f"{source.name} has only {source.size:,} bytes", hint="it is truncated; copy it again")
    buffer = bytearray(length)
    source.read_into(offset, buffer)
    return bytes(buffer)


def _bounded(source: ByteSource, size: int) -> int:
    if size > 64 << 40 or size % SECTOR_BYTES:
        raise BadImage(f"{source.name} claims a disk of {size:,} bytes", hint="it is damaged; copy it again")
    return size
