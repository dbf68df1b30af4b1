# SPDX-License-Identifier: Apache-2.0
"""The start of a VHD export: footer copy, header and block table, by which the rest of the stream is read.

Layout: Microsoft's Virtual Hard Disk Image Format Specification 1.0; order and bitmaps: xapi, vhd_format/f.ml. All
fields are big-endian. Everything here comes from another machine and is checked before it is used.
"""

import struct
import sys
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from v2x.disks.extent import Extent, joined
from v2x.model.units import MIB, SECTOR, TIB

BLOCK_BYTES = 2 * MIB
BITMAP_BYTES = BLOCK_BYTES // SECTOR // 8
UNUSED = 0xFFFF_FFFF
FOOTER_BYTES = 512
_HEADER_BYTES = 1024
_ALL_ONES = 0xFFFF_FFFF_FFFF_FFFF
_VERSION = 0x0001_0000
_DYNAMIC, _DIFFERENCING, _KINDS = 3, 4, frozenset({2, 3, 4})
_MAX_ENTRIES = 2 * TIB // BLOCK_BYTES
"""Hosts make tables that leave room to grow, at most to what 32-bit sector numbers reach."""
_MAX_TABLE_AT = MIB
_FOOTER = struct.Struct(">8sIIQ")
_HEADER = struct.Struct(">8sQQIII")
_PAGE_BYTES = 256 * 1024

Take = Callable[[int, int], bytes]
"""Takes (position, count): skips the stream ahead to `position` and gives its next `count` bytes."""


class Damaged(Exception):
    """The stream is no VHD, or contradicts itself or the disk; the text says how."""


class NotForward(Exception):
    """A sound VHD that cannot be read in one forward pass by itself; the text says why."""


@dataclass(frozen=True, slots=True)
class BlockTable:
    """`sectors` has the place in the stream of each 2 MiB block of the disk, in sectors; UNUSED where it is all zeros.

    The places ascend with the blocks and their blocks do not overlap. `last` is the last block that is there, or -1.
    """

    size_bytes: int
    sectors: "array[int]"
    last: int

    def position(self, block: int) -> int:
        """Where in the stream the block's bitmap begins, or -1 where the block is all zeros."""
        sector = self.sectors[block]
        return -1 if sector == UNUSED else sector * SECTOR

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        return joined(self._pieces(start, start + length))

    def _pieces(self, start: int, end: int) -> Iterator[Extent]:
        while start < end:
            block = start // BLOCK_BYTES
            stop = min(end, (block + 1) * BLOCK_BYTES)
            yield Extent(start, stop - start, self.sectors[block] != UNUSED)
            start = stop


def check_footer(raw: bytes) -> tuple[int, int, int]:
    """(header offset, current size, disk type) of 512 bytes; Damaged when they are no footer."""
    cookie, _, version, data_offset = _FOOTER.unpack_from(raw)
    if cookie != b"conectix":
        raise Damaged("it does not begin with a VHD footer")
    if not _sum_holds(raw, 64):
        raise Damaged("the checksum of its footer does not hold")
    current_size, kind = struct.unpack_from(">Q4xI", raw, 48)
    if version != _VERSION or kind not in _KINDS:
        raise Damaged(f"its footer has version {version:#x} and disk type {kind}")
    return data_offset, current_size, kind


def read_table(take: Take, size_bytes: int, *, differencing: bool = False) -> BlockTable:
    """The table of an export of a disk of `size_bytes`, from the stream's first byte on.

    The VHD may round the disk's size, up or down, as long as it has just as many 2 MiB blocks: then every byte of the
    disk is in some block. Any other size is Damaged. With `differencing`, what is not there is as in a parent.
    NotForward for what is sound but not made of whole 2 MiB blocks in ascending order.
    """
    header_at, current_size, kind = check_footer(take(0, FOOTER_BYTES))
    blocks = -(-size_bytes // BLOCK_BYTES)
    if -(-current_size // BLOCK_BYTES) != blocks:
        raise Damaged(f"it is of {current_size:,} bytes, the disk has {size_bytes:,}")
    wanted = _DIFFERENCING if differencing else _DYNAMIC
    if kind != wanted:
        raise NotForward(f"it is a VHD of type {kind}, not {wanted}")
    if not FOOTER_BYTES <= header_at <= _MAX_TABLE_AT:
        raise Damaged(f"its header is said to be at byte {header_at:,}")
    table_at, entries, block_bytes = _check_header(take(header_at, _HEADER_BYTES))
    if not header_at + _HEADER_BYTES <= table_at <= _MAX_TABLE_AT + _HEADER_BYTES:
        raise Damaged(f"its block table is said to be at byte {table_at:,}")
    if block_bytes != BLOCK_BYTES:
        raise NotForward(f"it has blocks of {block_bytes:,} bytes")
    if not blocks <= entries <= _MAX_ENTRIES:
        raise Damaged(f"its block table has {entries:,} entries for {blocks:,} blocks")
    sectors = _read_entries(take, table_at, entries)
    end = table_at + entries * 4
    if sectors[blocks:] != array("I", [UNUSED]) * (entries - blocks):
        raise Damaged("it has blocks beyond the end of the disk")
    del sectors[blocks:]
    return BlockTable(size_bytes, sectors, _check_order(sectors, end))


def _check_header(raw: bytes) -> tuple[int, int, int]:
    """(table offset, entries, block size)."""
    cookie, data_offset, table_at, version, entries, block_bytes = _HEADER.unpack_from(raw)
    if cookie != b"cxsparse" or data_offset != _ALL_ONES or version != _VERSION:
        raise Damaged("its header is none")
    if not _sum_holds(raw, 36):
        raise Damaged("the checksum of its header does not hold")
    return table_at, entries, block_bytes


def _read_entries(take: Take, table_at: int, entries: int) -> "array[int]":
    sectors = array("I")
    for start in range(0, entries * 4, _PAGE_BYTES):
        sectors.frombytes(take(table_at + start, min(_PAGE_BYTES, entries * 4 - start)))
    if sys.byteorder == "little":
        sectors.byteswap()
    return sectors


def _check_order(sectors: "array[int]", table_end: int) -> int:
    """The last block that is there, or -1."""
    step = (BITMAP_BYTES + BLOCK_BYTES) // SECTOR
    free, before, last = -(-table_end // SECTOR), 0, -1
    for block, sector in enumerate(sectors):
        if sector == UNUSED:
            continue
        if sector < free:
            if sector * SECTOR < table_end or abs(sector - before) < step:
                raise Damaged(f"block {block:,} overlaps what is before it")
            raise NotForward(f"block {block:,} comes before others of lower numbers")
        free, before, last = sector + step, sector, block
    return last


def _sum_holds(raw: bytes, at: int) -> bool:
    """Ones' complement of the sum of all bytes, those of the checksum at `at` taken as zeros."""
    total = sum(raw) - sum(raw[at : at + 4])
    return int.from_bytes(raw[at : at + 4], "big") == ~total & 0xFFFF_FFFF


def zero_runs(bitmap: bytes) -> Iterator[tuple[int, int]]:
    """(first byte, end byte) within a block of the runs of sectors whose bit is 0: these are zeros on the disk."""
    bits = bin(int.from_bytes(b"\x01" + bitmap, "big"))[3:]
    at = bits.find("0")
    while at >= 0:
        end = bits.find("1", at)
        end = len(bits) if end < 0 else end
        yield at * SECTOR, end * SECTOR
        at = bits.find("0", end)
