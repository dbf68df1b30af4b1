# SPDX-License-Identifier: Apache-2.0
"""QCOW2 whose metadata precedes its data, as a forward-only stream for XAPI and as a file.

XAPI's reader wants header, refcount table and blocks, L1 and L2 tables in this order before the first data cluster,
and the data clusters without a gap (mirage/ocaml-qcow lib/qcow_stream.ml, used by XAPI since 25.27). Fields
follow QEMU's docs/interop/qcow2.txt: version 3, 64 KiB clusters, 16-bit refcounts, all big-endian.
"""

import operator
import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import IO

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
from v2x.model.units import KIB, SECTOR, TIB, round_up

CLUSTER_BYTES = 64 * KIB
MAX_BYTES = 64 * TIB

_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_PER_BLOCK = BLOCK_BYTES // CLUSTER_BYTES
_PER_TABLE = CLUSTER_BYTES // 8
_BLOCKS_PER_TABLE = _PER_TABLE // _PER_BLOCK
_PER_REFCOUNT_BLOCK = CLUSTER_BYTES // 2
_COPIED = 1 << 63
_FULL_MASK = (1 << _PER_BLOCK) - 1


class Qcow2Layout:
    """Where everything lies in a QCOW2 image of `size_bytes` whose blocks `blocks` (ascending, 2 MiB each) hold data.

    The stream is the pieces of `head()`, then for each block in order its data, padded with zeros to whole clusters
    (`block_length(block)` bytes), and nothing else: exactly `content_length` bytes. `size_bytes` is rounded up to
    whole sectors; XAPI wants whole clusters, so give it a multiple of 64 KiB for an upload. ValueError for block
    numbers that do not ascend or lie outside. `blocks` is held, not copied, and takes most of the memory.
    """

    def __init__(self, size_bytes: int, blocks: Sequence[int]) -> None:
        self.size_bytes = round_up(size_bytes, SECTOR)
        if self.size_bytes > MAX_BYTES:
            raise Unsupported(f"the disk has {size_bytes:,} bytes, more than 64 TiB", hint="choose raw")
        self.clusters = -(-self.size_bytes // CLUSTER_BYTES)
        self.blocks = blocks
        self._check_blocks()
        self.data_clusters = self._clusters_in_blocks()
        self.l1_entries = max(-(-self.clusters // _PER_TABLE), 1)
        self.l1_clusters = -(-self.l1_entries * 8 // CLUSTER_BYTES)
        self.tables = _tables_touched(blocks)
        self._place()

    def _check_blocks(self) -> None:
        blocks = self.blocks
        if not all(map(operator.lt, blocks, islice(blocks, 1, None))):
            raise ValueError("block numbers must ascend, each once")
        if blocks and (blocks[0] < 0 or blocks[-1] * _PER_BLOCK >= self.clusters):
            raise ValueError("a block lies outside the disk")

    def _clusters_in_blocks(self) -> int:
        if not self.blocks:
            return 0
        return (len(self.blocks) - 1) * _PER_BLOCK + self.block_length(self.blocks[-1]) // CLUSTER_BYTES

    def _place(self) -> None:
        """Refcounts count their own clusters too, so their number is found by repeating until it is stable."""
        fixed = 1 + self.l1_clusters + len(self.tables) + self.data_clusters
        blocks, table = 1, 1
        while True:
            total = fixed + table + blocks
            wanted = -(-total // _PER_REFCOUNT_BLOCK)
            wanted_table = -(-wanted * 8 // CLUSTER_BYTES)
            if (wanted, wanted_table) == (blocks, table):
                break
            blocks, table = wanted, wanted_table
        self.refcount_blocks, self.refcount_table_clusters = blocks, table
        self.l1_at = (1 + table + blocks) * CLUSTER_BYTES
        self.tables_at = self.l1_at + self.l1_clusters * CLUSTER_BYTES
        self.data_at = self.tables_at + len(self.tables) * CLUSTER_BYTES
        self.content_length = total * CLUSTER_BYTES

    def block_length(self, block: int) -> int:
        """Bytes of a block in the stream: 2 MiB, in the last block the whole clusters up to the disk's end."""
        return min(_PER_BLOCK, self.clusters - block * _PER_BLOCK) * CLUSTER_BYTES

    def head(self) -> Iterator[bytes]:
        """Everything before the data, in pieces of at most some clusters."""
        yield self._header()
        yield from self._refcounts(self.content_length // CLUSTER_BYTES)
        yield from self._l1()
        position = self.data_at
        for table in self.tables:
            entries, position = self._table(table, position)
            yield entries

    def _header(self) -> bytes:
        packed = _HEADER.pack(
            b"QFI\xfb",
            3,
            0,  # no backing file
            0,
            CLUSTER_BYTES.bit_length() - 1,
            self.size_bytes,
            0,  # not encrypted
            self.l1_entries,
            self.l1_at,
            CLUSTER_BYTES,
            self.refcount_table_clusters,
            0,  # no snapshots
            0,
            0,  # no incompatible, compatible or autoclear features
            0,
            0,
            4,  # 16-bit refcounts
            _HEADER.size,
        )
        return packed.ljust(CLUSTER_BYTES, b"\0")

    def _refcounts(self, used: int) -> Iterator[bytes]:
        """The table, then blocks in which the first `used` clusters have one reference each."""
        first = (1 + self.refcount_table_clusters) * CLUSTER_BYTES
        table = array("Q", range(first, first + self.refcount_blocks * CLUSTER_BYTES, CLUSTER_BYTES))
        yield _big_endian(table).ljust(self.refcount_table_clusters * CLUSTER_BYTES, b"\0")
        for _ in range(self.refcount_blocks):
            count = min(used, _PER_REFCOUNT_BLOCK)
            yield (b"\0\1" * count).ljust(CLUSTER_BYTES, b"\0")
            used -= count

    def _l1(self) -> Iterator[bytes]:
        table = array("Q", bytes(self.l1_entries * 8))
        for index, number in enumerate(self.tables):
            table[number] = self.tables_at + index * CLUSTER_BYTES | _COPIED
        yield _big_endian(table).ljust(self.l1_clusters * CLUSTER_BYTES, b"\0")

    def _table(self, number: int, position: int) -> tuple[bytes, int]:
        """L2 table `number`, and the file position behind the clusters it names, the first of which is `position`."""
        entries = array("Q", bytes(CLUSTER_BYTES))
        first_block = number * _BLOCKS_PER_TABLE
        begin = bisect_left(self.blocks, first_block)
        end = bisect_left(self.blocks, first_block + _BLOCKS_PER_TABLE, lo=begin)
        for block in islice(self.blocks, begin, end):
            length = self.block_length(block)
            at = (block - first_block) * _PER_BLOCK
            entries[at : at + length // CLUSTER_BYTES] = _entries(position, length)
            position += length
        return _big_endian(entries), position


def _entries(position: int, length: int) -> "array[int]":
    return array("Q", range(position | _COPIED, position + length | _COPIED, CLUSTER_BYTES))


def _tables_touched(blocks: Sequence[int]) -> list[int]:
    """The numbers of the L2 tables that `blocks` need, found by leaps: a table spans 256 blocks."""
    tables: list[int] = []
    index = 0
    while index < len(blocks):
        table = blocks[index] // _BLOCKS_PER_TABLE
        tables.append(table)
        index = bisect_left(blocks, (table + 1) * _BLOCKS_PER_TABLE, lo=index)
    return tables


def _big_endian(table: "array[int]") -> bytes:
    if sys.byteorder == "little":
        table.byteswap()
    return table.tobytes()


class _SparseLayout(Qcow2Layout):
    """A layout whose blocks turned out to be zero in part: bit n of a block's mask says whether its cluster n is kept.

    Room for the metadata was set aside from what the source's map promised, so it may hold L2 tables and refcount
    blocks that are all zeros. That is valid, and leaves no gap before the data.
    """

    def __init__(self, size_bytes: int, blocks: Sequence[int]) -> None:
        super().__init__(size_bytes, blocks)
        self.masks = array("I")
        self._kept = 0

    def keep(self, mask: int) -> None:
        """Notes the next block's mask, in the order of `blocks`."""
        self.masks.append(mask)
        self._kept += mask.bit_count()

    @property
    def end_at(self) -> int:
        return self.data_at + self._kept * CLUSTER_BYTES

    def head(self) -> Iterator[bytes]:
        self.content_length = self.end_at
        return super().head()

    def _table(self, number: int, position: int) -> tuple[bytes, int]:
        entries = array("Q", bytes(CLUSTER_BYTES))
        first_block = number * _BLOCKS_PER_TABLE
        begin = bisect_left(self.blocks, first_block)
        end = bisect_left(self.blocks, first_block + _BLOCKS_PER_TABLE, lo=begin)
        for index in range(begin, end):
            at = (self.blocks[index] - first_block) * _PER_BLOCK
            mask = self.masks[index]
            if mask == _FULL_MASK:
                entries[at : at + _PER_BLOCK] = _entries(position, BLOCK_BYTES)
                position += BLOCK_BYTES
                continue
            while mask:
                lowest = mask & -mask
                entries[at + lowest.bit_length() - 1] = position | _COPIED
                position += CLUSTER_BYTES
                mask ^= lowest
        return _big_endian(entries), position


def write_qcow2(reader: DiskReader, out: IO[bytes], *, progress: Progress | None = None) -> None:
    """Writes `reader`'s disk to the seekable, empty `out` as QCOW2 without its all-zero clusters.

    The size is exact (whole sectors). `progress` takes increments that add up to the disk's size.
    """
    layout = _SparseLayout(reader.size, data_blocks(reader, BLOCK_BYTES))
    zero = ZeroTest(BLOCK_BYTES)
    position = Position(progress)
    out.seek(layout.data_at)
    with closing(read_blocks(reader, layout.blocks, block_bytes=BLOCK_BYTES)) as blocks:
        for block in blocks:
            runs = zero.data_runs(block, CLUSTER_BYTES)
            for begin, end in runs:
                write_all(out, block.data(begin, round_up(end, CLUSTER_BYTES)))
            layout.keep(_mask(runs))
            position.reached(block.start + block.length)
    out.seek(0)
    for piece in layout.head():
        write_all(out, piece)
    position.reached(reader.size)


def _mask(runs: list[tuple[int, int]]) -> int:
    mask = 0
    for begin, end in runs:
        mask |= (1 << -(-end // CLUSTER_BYTES)) - (1 << begin // CLUSTER_BYTES)
    return mask
