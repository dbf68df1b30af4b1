# SPDX-License-Identifier: Apache-2.0
"""Dynamic VHD as a forward-only stream for XAPI, and as a file.

XAPI reads strictly forward and demands an exact length (xapi-project/xen-api, ocaml/libs/vhd/vhd_format/f.ml). Readers
disagree about sizes that are no whole cylinders; with the creator `win `, a computed CHS and the exact current size
qemu and vhd-util were measured to agree, with most other creators qemu rounds the size down. Field layouts and the CHS
computation follow Microsoft's Virtual Hard Disk Image Format Specification 1.0. All fields are big-endian.
"""

import operator
import struct
import sys
from array import array
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from typing import IO
from uuid import UUID

from v2x.disks.interface import DiskReader
from v2x.disks.stream.feed import (
    BLOCK_BYTES,
    Position,
    Progress,
    ZeroTest,
    data_blocks,
    read_blocks,
    write_all,
)
from v2x.errors import Unsupported
from v2x.model.units import GIB, SECTOR, round_up

MAX_BYTES = 2040 * GIB
VHD_EPOCH = 946_684_800
"""Seconds from the Unix epoch to 2000-01-01 UTC, where VHD timestamps begin."""

_FOOTER = struct.Struct(">8sIIQI4sI4sQQHBBII16s428x")
_HEADER = struct.Struct(">8sQQIIII984x")
_HEADER_AT = 512
_TABLE_AT = 1536
_BITMAP_BYTES = BLOCK_BYTES // SECTOR // 8
_BLOCK_SECTORS = (_BITMAP_BYTES + BLOCK_BYTES) // SECTOR
_UNUSED = b"\xff\xff\xff\xff"
_ALL_ONES = 0xFFFF_FFFF_FFFF_FFFF
_VERSION = 0x0001_0000
_WINDOWS_10 = 0x000A_0000


def checksum(structure: bytes) -> int:
    """Ones' complement of the sum of all bytes; the checksum field must hold zeros."""
    return ~sum(structure) & 0xFFFF_FFFF


def geometry(size_bytes: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors per track for a size, as the VHD specification's appendix computes them."""
    sectors = min(size_bytes // SECTOR, 65535 * 16 * 255)
    if sectors >= 65535 * 16 * 63:
        heads, per_track = 16, 255
        return sectors // per_track // heads, heads, per_track
    per_track = 17
    tracks = sectors // per_track
    heads = max((tracks + 1023) // 1024, 4)
    if tracks >= heads * 1024 or heads > 16:
        heads, per_track = 16, 31
        tracks = sectors // per_track
    if tracks >= heads * 1024:
        heads, per_track = 16, 63
        tracks = sectors // per_track
    return tracks // heads, heads, per_track


def footer(size_bytes: int, *, uuid: UUID, timestamp: int) -> bytes:
    """The 512 bytes at both ends of a dynamic VHD. `timestamp` is in Unix seconds."""
    created = max(timestamp - VHD_EPOCH, 0) & 0xFFFF_FFFF

    def packed(check: int) -> bytes:
        return _FOOTER.pack(
            b"conectix",
            2,  # the reserved feature bit, always set
            _VERSION,
            _HEADER_AT,
            created,
            b"win ",
            _WINDOWS_10,
            b"Wi2k",
            size_bytes,
            size_bytes,
            *geometry(size_bytes),
            3,  # dynamic
            check,
            uuid.bytes,
        )

    return packed(checksum(packed(0)))


def header(entries: int) -> bytes:
    """The 1024 bytes that describe a block table of `entries`."""

    def packed(check: int) -> bytes:
        return _HEADER.pack(b"cxsparse", _ALL_ONES, _TABLE_AT, _VERSION, entries, BLOCK_BYTES, check)

    return packed(checksum(packed(0)))


class VhdLayout:
    """Where everything lies in a dynamic VHD of `size_bytes` whose blocks `blocks` (ascending, 2 MiB each) hold data.

    The stream is `head()`, then for each block in order `bitmap(block)` and its full 2 MiB, then `foot()`: exactly
    `content_length` bytes. Bits of the last block's bitmap beyond `written_end_bytes` are zero, so that nothing is
    written behind the end of a VDI that is not a multiple of 2 MiB; give the VDI's virtual_size as read back.
    `size_bytes` is rounded up to whole sectors. Unsupported above 2040 GiB; ValueError for block numbers that do not
    ascend or lie outside. `blocks` is held, not copied.
    """

    def __init__(
        self,
        size_bytes: int,
        blocks: Sequence[int],
        *,
        uuid: UUID,
        timestamp: int,
        written_end_bytes: int | None = None,
    ) -> None:
        self.size_bytes = round_up(size_bytes, SECTOR)
        if self.size_bytes > MAX_BYTES:
            raise Unsupported(
                f"a VHD holds at most 2040 GiB, and the disk has {size_bytes:,} bytes",
                hint="choose QCOW2, as image format of the target disk or of the file",
            )
        self.blocks = blocks
        self.entries = max(-(-self.size_bytes // BLOCK_BYTES), 1)
        self.written_end_bytes = self.size_bytes if written_end_bytes is None else written_end_bytes
        if self.written_end_bytes < 0 or self.written_end_bytes % SECTOR:
            raise ValueError("written_end_bytes must be a multiple of 512")
        self._check_blocks()
        self._foot = footer(self.size_bytes, uuid=uuid, timestamp=timestamp)
        self.data_at = _TABLE_AT + round_up(self.entries * 4, SECTOR)
        self.content_length = self.data_at + len(blocks) * _BLOCK_SECTORS * SECTOR + len(self._foot)

    def _check_blocks(self) -> None:
        blocks = self.blocks
        if not blocks:
            return
        if not all(map(operator.lt, blocks, islice(blocks, 1, None))):
            raise ValueError("block numbers must ascend, each once")
        last_start = blocks[-1] * BLOCK_BYTES
        if blocks[0] < 0 or blocks[-1] >= self.entries or last_start >= self.written_end_bytes:
            raise ValueError("a block lies outside the disk")

    def head(self) -> bytes:
        """Footer copy, header and block table, up to the first block's bitmap."""
        return b"".join((self._foot, header(self.entries), self._table()))

    def _table(self) -> bytes:
        first = self.data_at // SECTOR
        positions = range(first, first + len(self.blocks) * _BLOCK_SECTORS, _BLOCK_SECTORS)
        if len(self.blocks) == self.entries:
            table = array("I", positions)
            table.extend(array("I", _UNUSED * ((self.data_at - _TABLE_AT) // 4 - self.entries)))
        else:
            table = array("I", _UNUSED) * ((self.data_at - _TABLE_AT) // 4)
            for number, position in zip(self.blocks, positions, strict=True):
                table[number] = position
        if sys.byteorder == "little":
            table.byteswap()
        return table.tobytes()

    def bitmap(self, block: int) -> bytes:
        """512 bytes, one bit per sector, most significant first; ones up to `written_end_bytes`."""
        sectors = (self.written_end_bytes - block * BLOCK_BYTES) // SECTOR
        if sectors >= _BITMAP_BYTES * 8:
            return b"\xff" * _BITMAP_BYTES
        whole, rest = divmod(sectors, 8)
        return (b"\xff" * whole + bytes([0xFF00 >> rest & 0xFF])).ljust(_BITMAP_BYTES, b"\0")

    def foot(self) -> bytes:
        """The footer that ends the stream, equal to its copy at the start."""
        return self._foot


def write_vhd(
    reader: DiskReader,
    out: IO[bytes],
    *,
    uuid: UUID,
    timestamp: int,
    progress: Progress | None = None,
) -> None:
    """Writes `reader`'s disk to the seekable, empty `out` as a dynamic VHD without its all-zero blocks.

    `progress` takes increments that add up to the disk's size. Unsupported above 2040 GiB.
    """
    planned = VhdLayout(reader.size, data_blocks(reader, BLOCK_BYTES), uuid=uuid, timestamp=timestamp)
    zero = ZeroTest(BLOCK_BYTES)
    position = Position(progress)
    written: list[int] = []
    out.seek(planned.data_at)
    with closing(read_blocks(reader, planned.blocks)) as blocks:
        for block in blocks:
            if not zero.is_zero(block.buffer, 0, block.length):
                write_all(out, planned.bitmap(block.number))
                write_all(out, block.buffer)
                written.append(block.number)
            position.reached(block.start + block.length)
    layout = VhdLayout(reader.size, written, uuid=uuid, timestamp=timestamp)
    write_all(out, layout.foot())
    out.seek(0)
    write_all(out, layout.head())
    position.reached(reader.size)
