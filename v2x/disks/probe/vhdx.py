# SPDX-License-Identifier: Apache-2.0
"""The gate for VHDX, by Microsoft's [MS-VHDX]. All fields little-endian."""

import struct
import sys
import uuid
from array import array
from typing import Final

from v2x.disks.chain import MAX_DISK_BYTES
from v2x.disks.crc32c import crc32c
from v2x.disks.interface import ByteSource
from v2x.disks.probe import ImageFacts
from v2x.disks.probe.fields import field_bytes, require_inside
from v2x.errors import BadImage, UnsafeImage, Unsupported
from v2x.model.machine import DiskFormat

MIB: Final = 1 << 20
BAT = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
METADATA = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
FILE_PARAMETERS = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
DISK_SIZE = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
DISK_ID = uuid.UUID("beca12ab-b2e6-4523-93ef-c309e000c746")
LOGICAL_SECTOR = uuid.UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
PHYSICAL_SECTOR = uuid.UUID("cda348c7-445d-4471-9cc9-e9885251c556")
PARENT_LOCATOR = uuid.UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
_ITEMS: Final = {
    FILE_PARAMETERS: 8,
    DISK_SIZE: 8,
    DISK_ID: 16,
    LOGICAL_SECTOR: 4,
    PHYSICAL_SECTOR: 4,
}
_HEADER = struct.Struct("<4sIQ16s16s16sHHIQ")
_MAX_ENTRIES: Final = 2047
_PAGE_ENTRIES: Final = 1 << 16
_STORED: Final = frozenset({6, 7})  # fully and partially present


def check_vhdx(source: ByteSource) -> ImageFacts:
    name = source.name
    if field_bytes(source, 0, 8, "the signature") != b"vhdxfile":
        raise BadImage(f"{name} is no VHDX image", hint="say the right format; it is never guessed")
    _check_header(source)
    regions = _regions(source)
    items = _metadata(source, *regions[METADATA])
    block_bytes, flags = struct.unpack("<II", items[FILE_PARAMETERS])
    (size,) = struct.unpack("<Q", items[DISK_SIZE])
    (sector,) = struct.unpack("<I", items[LOGICAL_SECTOR])
    if flags & 2 or PARENT_LOCATOR in items:
        raise UnsafeImage(
            f"{name} is a differencing disk: it needs its parent", hint="merge the checkpoints where it was made"
        )
    if sector not in {512, 4096}:
        raise BadImage(f"{name} has sectors of {sector:,} bytes")
    if not MIB <= block_bytes <= 256 * MIB or block_bytes & (block_bytes - 1):
        raise BadImage(f"{name} has an impossible block size of {block_bytes:,} bytes")
    if size > MAX_DISK_BYTES or size % sector:
        raise BadImage(f"{name} claims {size:,} bytes; whole sectors up to 64 TiB are possible")
    blocks = -(-size // block_bytes)
    between = (1 << 23) * sector // block_bytes
    entries = blocks + (blocks - 1) // between if blocks else 0
    if entries * 8 > regions[BAT][1]:
        raise BadImage(f"the block table of {name} is too short for its {blocks:,} blocks")
    _check_blocks(source, regions[BAT][0], entries)
    return ImageFacts(
        format=DiskFormat.VHDX,
        size_bytes=size,
        variant="fixed" if flags & 1 else "dynamic",
        logical_sector_bytes=sector,
    )


def _check_blocks(source: ByteSource, offset: int, entries: int) -> None:
    """Every block that the table says is stored begins within the file."""
    for first in range(0, entries, _PAGE_ENTRIES):
        count = min(_PAGE_ENTRIES, entries - first)
        page = array("Q", field_bytes(source, offset + first * 8, count * 8, "the block table"))
        if sys.byteorder == "big":
            page.byteswap()
        last = max((entry >> 20 for entry in page if entry & 7 in _STORED), default=0)
        if last * MIB >= source.size:
            raise BadImage(
                f"a block of {source.name} lies outside the file", hint="the file is truncated; copy it again"
            )


def _check_header(source: ByteSource) -> None:
    """The valid header with the higher sequence number counts; its log must be empty."""
    best: tuple[int, bytes, int, int, int] | None = None
    for offset in (64 << 10, 128 << 10):
        raw = bytearray(field_bytes(source, offset, 4096, "a header"))
        signature, found, sequence, *_, log, log_version, version, log_bytes, log_offset = _HEADER.unpack_from(raw)
        raw[4:8] = bytes(4)
        if signature == b"head" and found == crc32c(raw) and (best is None or sequence > best[0]):
            best = (sequence, log, version, log_bytes, log_offset)
            if log_version != 0:
                raise Unsupported(f"{source.name} has a log of the unknown version {log_version}")
    if best is None:
        raise BadImage(f"both headers of {source.name} are damaged", hint="copy the file again")
    _, log, version, log_bytes, log_offset = best
    if version != 1:
        raise Unsupported(f"{source.name} is a VHDX of the unknown version {version}")
    if log != bytes(16):
        raise Unsupported(
            f"{source.name} was not closed cleanly: its log holds changes",
            hint="start and shut down the machine at the source, or mount the disk there once",
        )
    require_inside(source, log_offset, log_bytes, "the log")


def _regions(source: ByteSource) -> dict[uuid.UUID, tuple[int, int]]:
    for offset in (192 << 10, 256 << 10):
        raw = bytearray(field_bytes(source, offset, 64 << 10, "a region table"))
        signature, found, count = struct.unpack_from("<4sII", raw)
        raw[4:8] = bytes(4)
        if signature == b"regi" and count <= _MAX_ENTRIES and found == crc32c(raw):
            return _region_entries(source, raw, count)
    raise BadImage(f"both region tables of {source.name} are damaged", hint="copy the file again")


def _region_entries(source: ByteSource, raw: bytearray, count: int) -> dict[uuid.UUID, tuple[int, int]]:
    regions: dict[uuid.UUID, tuple[int, int]] = {}
    for number in range(count):
        guid, offset, length, required = struct.unpack_from("<16sQII", raw, 16 + number * 32)
        kind = uuid.UUID(bytes_le=guid)
        if kind not in {BAT, METADATA}:
            if required & 1:
                raise Unsupported(f"{source.name} needs an unknown region {kind}")
            continue
        if kind in regions:
            raise BadImage(f"{source.name} has one region twice")
        if offset < MIB or offset % MIB or length % MIB:
            raise BadImage(f"a region of {source.name} is not aligned to 1 MiB")
        require_inside(source, offset, length, "a region")
        regions[kind] = (offset, length)
    if len(regions) != 2:
        raise BadImage(f"{source.name} lacks its block table or its metadata")
    return regions


def _metadata(source: ByteSource, offset: int, length: int) -> dict[uuid.UUID, bytes]:
    table = field_bytes(source, offset, min(length, 64 << 10), "the metadata table")
    if len(table) < 64 << 10 or table[:8] != b"metadata":
        raise BadImage(f"the metadata of {source.name} is damaged", hint="copy the file again")
    (count,) = struct.unpack_from("<H", table, 10)
    if count > _MAX_ENTRIES:
        raise BadImage(f"{source.name} claims {count:,} metadata items")
    items: dict[uuid.UUID, bytes] = {}
    for number in range(count):
        guid, at, size, flags = struct.unpack_from("<16sIII", table, 32 + number * 32)
        kind = uuid.UUID(bytes_le=guid)
        if kind == PARENT_LOCATOR:
            items[kind] = b""
            continue
        if kind not in _ITEMS or flags & 1:
            if flags & 4:
                raise Unsupported(f"{source.name} needs an unknown metadata item {kind}")
            continue
        if size != _ITEMS[kind] or at < 64 << 10 or at + size > length or kind in items:
            raise BadImage(f"a metadata item of {source.name} is damaged", hint="copy the file again")
        items[kind] = field_bytes(source, offset + at, size, "a metadata item")
    missing = [kind for kind in (FILE_PARAMETERS, DISK_SIZE, LOGICAL_SECTOR) if kind not in items]
    if missing:
        raise BadImage(f"{source.name} lacks the metadata item {missing[0]}")
    return items
