# SPDX-License-Identifier: Apache-2.0
"""The header section of a VHDX: identifier, headers, region tables. By Microsoft's [MS-VHDX]; little-endian."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from v2x.disks.crc32c import crc32c
from v2x.disks.interface import ByteSource
from v2x.disks.probe.fields import field_bytes, require_inside
from v2x.errors import BadImage, Unsupported

MIB: Final = 1 << 20
BAT: Final = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
METADATA: Final = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
NO_LOG: Final = UUID(int=0)
MOST_ENTRIES: Final = 2047

_HEADERS: Final = (64 << 10, 128 << 10)
_HEADER_BYTES: Final = 4096
_REGION_TABLES: Final = (192 << 10, 256 << 10)
_TABLE_BYTES: Final = 64 << 10
_HEADER = struct.Struct("<4sIQ16s16s16sHHIQ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The current header. `data_write_id` changes with the disk's content; `log_id` is `NO_LOG` when all is written.

    `file_write_id` changes with every opening for writing.
    """

    sequence: int
    file_write_id: UUID
    data_write_id: UUID
    log_id: UUID
    log_version: int
    log_offset: int
    log_bytes: int

    @property
    def is_dirty(self) -> bool:
        return self.log_id != NO_LOG


@dataclass(frozen=True, slots=True)
class Region:
    """`length` bytes from `offset`; both multiples of 1 MiB."""

    offset: int
    length: int


def without_checksum(raw: bytes | bytearray) -> bytes:
    """A structure as its checksum is computed: with zeros in the four bytes at 4."""
    return bytes(raw[:4]) + bytes(4) + bytes(raw[8:])


def read_header(source: ByteSource) -> Header:
    """The valid header with the higher sequence number. BadImage if none is valid or two contradict each other."""
    name = source.name
    if field_bytes(source, 0, 8, "the signature") != b"vhdxfile":
        raise BadImage(f"{name} is no VHDX image", hint="say the right format; it is never guessed")
    best, sequence = b"", -1
    for offset in _HEADERS:
        raw = field_bytes(source, offset, _HEADER_BYTES, "a header")
        signature, found, number = struct.unpack_from("<4sIQ", raw)
        if signature != b"head" or found != crc32c(without_checksum(raw)):
            continue
        if number == sequence and raw != best:
            raise BadImage(f"the headers of {name} contradict each other", hint="copy the file again")
        if number > sequence:
            best, sequence = raw, number
    if not best:
        raise BadImage(f"both headers of {name} are damaged", hint="copy the file again")
    return _parsed(source, best)


def _parsed(source: ByteSource, raw: bytes) -> Header:
    name = source.name
    _, _, sequence, file_write, data_write, log, log_version, version, log_bytes, log_offset = _HEADER.unpack_from(raw)
    if version != 1:
        raise Unsupported(f"{name} is a VHDX of the unknown version {version}")
    if log_offset % MIB or log_bytes % MIB or (log_bytes and log_offset < MIB):
        raise BadImage(f"the log of {name} is not aligned to 1 MiB", hint="copy the file again")
    require_inside(source, log_offset, log_bytes, "the log")
    return Header(
        sequence=sequence,
        file_write_id=UUID(bytes_le=file_write),
        data_write_id=UUID(bytes_le=data_write),
        log_id=UUID(bytes_le=log),
        log_version=log_version,
        log_offset=log_offset,
        log_bytes=log_bytes,
    )


def read_regions(source: ByteSource, header: Header) -> dict[UUID, Region]:
    """Every region by its kind, BAT and METADATA among them. BadImage for damage and overlaps, Unsupported."""
    tables = []
    for offset in _REGION_TABLES:
        raw = field_bytes(source, offset, _TABLE_BYTES, "a region table")
        signature, found, count = struct.unpack_from("<4sII", raw)
        if signature == b"regi" and count <= MOST_ENTRIES and found == crc32c(without_checksum(raw)):
            tables.append((raw, count))
    if not tables:
        raise BadImage(f"both region tables of {source.name} are damaged", hint="copy the file again")
    regions = _entries(source, *tables[0])
    if len(tables) == 2 and tables[0] != tables[1] and _entries(source, *tables[1]) != regions:
        raise BadImage(f"the region tables of {source.name} contradict each other", hint="copy the file again")
    log = Region(header.log_offset, header.log_bytes)
    require_apart(source.name, [Region(0, MIB), log, *regions.values()])
    return regions


def _entries(source: ByteSource, raw: bytes, count: int) -> dict[UUID, Region]:
    name = source.name
    regions: dict[UUID, Region] = {}
    for number in range(count):
        guid, offset, length, required = struct.unpack_from("<16sQII", raw, 16 + number * 32)
        kind = UUID(bytes_le=guid)
        if kind not in {BAT, METADATA} and required & 1:
            raise Unsupported(f"{name} needs an unknown region {kind}")
        if kind in regions:
            raise BadImage(f"{name} has one region twice")
        if offset < MIB or offset % MIB or length % MIB:
            raise BadImage(f"a region of {name} is not aligned to 1 MiB")
        require_inside(source, offset, length, "a region")
        regions[kind] = Region(offset, length)
    if BAT not in regions or METADATA not in regions:
        raise BadImage(f"{name} lacks its block table or its metadata")
    return regions


def require_apart(name: str, regions: Iterable[Region]) -> None:
    """BadImage if any two of them share a byte."""
    end = 0
    for region in sorted((one for one in regions if one.length), key=lambda one: one.offset):
        if region.offset < end:
            raise BadImage(
                f"two parts of {name} lie on top of one another at byte {region.offset:,}",
                hint="the file is damaged; copy it again",
            )
        end = region.offset + region.length
