# SPDX-License-Identifier: Apache-2.0
"""The header of a hosted sparse extent ("KDMV"): one sector, little-endian, versions 1 to 3.

Field table: VMware, "Virtual Disk Format 5.0".
"""

import struct
from dataclasses import dataclass, replace
from typing import Final

from v2x.disks.chain import MAX_DISK_BYTES
from v2x.disks.interface import ByteSource
from v2x.disks.vmdk.descriptor import MAX_TEXT_BYTES, SECTOR_BYTES
from v2x.errors import BadImage, Unsupported

MAGIC: Final = b"KDMV"
IN_FOOTER: Final = 0xFFFFFFFFFFFFFFFF
END_OF_STREAM: Final = 0
GRAIN_TABLE: Final = 1
GRAIN_DIRECTORY: Final = 2
FOOTER: Final = 3

FLAG_NEWLINE_TEST: Final = 0x1
FLAG_REDUNDANT: Final = 0x2
FLAG_ZERO_GRAINS: Final = 0x4
FLAG_COMPRESSED: Final = 0x10000
FLAG_MARKERS: Final = 0x20000
_KNOWN_FLAGS: Final = FLAG_NEWLINE_TEST | FLAG_REDUNDANT | FLAG_ZERO_GRAINS | FLAG_COMPRESSED | FLAG_MARKERS

_HEADER = struct.Struct("<4sIIQQQQIQQQB4sH")
_MARKER = struct.Struct("<QII")
_MAX_GRAIN_SECTORS: Final = 1 << 21
_MAX_COMPRESSED_GRAIN_SECTORS: Final = 2048
_MAX_TABLE_ENTRIES: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseHeader:
    """Offsets and sizes in bytes; `directory_offset` is the footer's where there is a footer."""

    version: int
    capacity_bytes: int
    grain_bytes: int
    table_entries: int
    directory_offset: int
    directory_entries: int
    descriptor_offset: int
    descriptor_bytes: int
    zero_grains: bool
    compressed: bool
    unclean: bool
    overhead_bytes: int


def is_sparse(source: ByteSource) -> bool:
    """Whether the file starts with the magic of a hosted sparse extent."""
    return source.size >= SECTOR_BYTES and read_bytes(source, 0, 4) == MAGIC


def read_bytes(source: ByteSource, offset: int, length: int) -> bytes:
    """`length` bytes from `offset`; BadImage if the file ends before. The caller bounds `length`."""
    if offset < 0 or offset + length > source.size:
        raise BadImage(
            f"{source.name} ends at byte {source.size:,} where more was expected",
            hint="the file is truncated or still being written; copy it again",
        )
    buffer = bytearray(length)
    source.read_into(offset, buffer)
    return bytes(buffer)


def read_header(source: ByteSource) -> SparseHeader:
    """The checked header, with the directory's place from the footer where the header says so."""
    raw = read_bytes(source, 0, SECTOR_BYTES)
    header, in_footer = parse_header(raw, source.name)
    if in_footer:
        header = _from_footer(source, header)
    _check_places(header, source)
    return header


def read_descriptor_text(source: ByteSource, header: SparseHeader) -> bytes:
    """The embedded descriptor up to its first NUL; empty if there is none."""
    if not header.descriptor_offset or not header.descriptor_bytes:
        return b""
    return read_bytes(source, header.descriptor_offset, header.descriptor_bytes).split(b"\0", 1)[0]


def parse_header(raw: bytes, name: str) -> tuple[SparseHeader, bool]:
    """One sector as a header, and whether it says that the directory's place is in the footer."""
    (magic, version, flags, capacity, grain, descriptor, descriptor_size, entries) = _HEADER.unpack_from(raw)[:8]
    (_, directory, overhead, unclean, newlines, compression) = _HEADER.unpack_from(raw)[8:]
    if magic != MAGIC:
        raise BadImage(f"{name} has no sparse VMDK header", hint="the file is damaged; copy it again")
    if version not in {1, 2, 3}:
        raise Unsupported(f"{name} is a sparse VMDK of the unknown version {version}")
    if flags & ~_KNOWN_FLAGS:
        raise Unsupported(f"{name} uses unknown VMDK features (flags {flags & ~_KNOWN_FLAGS:#x})")
    if flags & FLAG_NEWLINE_TEST and newlines != b"\n \r\n":
        raise BadImage(f"{name} was damaged by a transfer in text mode", hint="copy the file again in binary mode")
    compressed = _compressed(flags, compression, name)
    if capacity > MAX_DISK_BYTES // SECTOR_BYTES:
        raise BadImage(f"{name} claims {capacity:,} sectors; at most 64 TiB are possible")
    if grain < 8 or grain > _MAX_GRAIN_SECTORS or grain & (grain - 1):
        raise BadImage(f"{name} has an impossible grain size of {grain:,} sectors")
    if compressed and grain > _MAX_COMPRESSED_GRAIN_SECTORS:
        raise Unsupported(f"{name} has compressed grains of {grain:,} sectors; at most 2,048 are read")
    if not 1 <= entries <= _MAX_TABLE_ENTRIES:
        raise BadImage(f"{name} has grain tables of {entries:,} entries; 512 is usual and the most")
    if max(descriptor, directory if directory != IN_FOOTER else 0, overhead) > 1 << 54:
        raise BadImage(f"{name} has metadata beyond any possible file")
    if descriptor_size * SECTOR_BYTES > MAX_TEXT_BYTES:
        raise BadImage(f"{name} has a descriptor of {descriptor_size:,} sectors; at most 1 MiB is read")
    header = SparseHeader(
        version=version,
        capacity_bytes=capacity * SECTOR_BYTES,
        grain_bytes=grain * SECTOR_BYTES,
        table_entries=entries,
        directory_offset=0 if directory == IN_FOOTER else directory * SECTOR_BYTES,
        directory_entries=-(-capacity // (grain * entries)),
        descriptor_offset=descriptor * SECTOR_BYTES,
        descriptor_bytes=descriptor_size * SECTOR_BYTES,
        zero_grains=bool(flags & FLAG_ZERO_GRAINS),
        compressed=compressed,
        unclean=bool(unclean),
        overhead_bytes=overhead * SECTOR_BYTES,
    )
    return header, directory == IN_FOOTER


def _compressed(flags: int, compression: int, name: str) -> bool:
    if compression not in {0, 1}:
        raise Unsupported(
            f"{name} uses the unknown compression {compression}", hint="export the disk again with deflate or without"
        )
    if bool(flags & FLAG_COMPRESSED) != bool(compression):
        raise BadImage(f"{name} contradicts itself about compression (flags {flags:#x}, method {compression})")
    if bool(flags & FLAG_COMPRESSED) != bool(flags & FLAG_MARKERS):
        raise Unsupported(f"{name} has {'no ' if compression else ''}markers (flags {flags:#x}), which is not known")
    return bool(compression)


def _from_footer(source: ByteSource, header: SparseHeader) -> SparseHeader:
    truncated = BadImage(
        f"{source.name} has no footer at its end", hint="the file is truncated or still being written; copy it again"
    )
    if source.size < 4 * SECTOR_BYTES:
        raise truncated
    tail = read_bytes(source, source.size - 3 * SECTOR_BYTES, 3 * SECTOR_BYTES)
    _, size, kind = _MARKER.unpack_from(tail)
    end_sectors, end_size, end_kind = _MARKER.unpack_from(tail, 2 * SECTOR_BYTES)
    copy = tail[SECTOR_BYTES : 2 * SECTOR_BYTES]
    if (size, kind) != (0, FOOTER) or (end_sectors, end_size, end_kind) != (0, 0, END_OF_STREAM):
        raise truncated
    if not copy.startswith(MAGIC):
        raise truncated
    footer, again = parse_header(copy, f"the footer of {source.name}")
    if again or not footer.directory_offset:
        raise BadImage(f"the footer of {source.name} does not say where the grain directory is")
    if shape_of(footer) != shape_of(header):
        raise BadImage(f"header and footer of {source.name} contradict each other")
    return replace(header, directory_offset=footer.directory_offset, overhead_bytes=footer.overhead_bytes)


def shape_of(header: SparseHeader) -> tuple[int, int, int, bool, bool]:
    """What header and footer of one file have in common."""
    return (
        header.capacity_bytes,
        header.grain_bytes,
        header.table_entries,
        header.compressed,
        header.zero_grains,
    )


def _check_places(header: SparseHeader, source: ByteSource) -> None:
    end = header.directory_offset + header.directory_entries * 4
    if header.directory_entries and (not header.directory_offset or end > source.size):
        raise BadImage(
            f"the grain directory of {source.name} lies outside the file",
            hint="the file is truncated or damaged; copy it again",
        )
    if header.descriptor_offset + header.descriptor_bytes > source.size:
        raise BadImage(f"the descriptor of {source.name} lies outside the file", hint="copy the file again")
