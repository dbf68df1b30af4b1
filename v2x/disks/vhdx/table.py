# SPDX-License-Identifier: Apache-2.0
"""The block table (BAT) of a VHDX: where each block lies, and with each chunk of blocks their sector bitmaps.

An entry is the file offset of a block, a multiple of 1 MiB, with its state in the low three bits. After each chunk of
blocks stands one more entry, of the 1 MiB that holds the bitmap of all sectors of the chunk ([MS-VHDX] 2.5). A table
may have 64 million entries: it is read in pages, and checked once as a whole when the disk is opened.
"""

import sys
from array import array
from collections.abc import Iterable
from typing import Final

from v2x.disks.interface import ByteSource
from v2x.disks.probe.fields import field_bytes
from v2x.disks.runs import stepping_runs
from v2x.disks.vhdx.log import MOST_FILE_BYTES
from v2x.disks.vhdx.metadata import Metadata
from v2x.disks.vhdx.structure import MIB, Region
from v2x.errors import BadImage

NOT_PRESENT, UNDEFINED, ZEROED, UNMAPPED, PRESENT, PARTIAL = 0, 1, 2, 3, 6, 7
STATE: Final = 7
STEPS: Final = {NOT_PRESENT: 0, UNDEFINED: 0, ZEROED: 0, UNMAPPED: 0}
"""For `stepping_runs`: entries without a place repeat, all others advance by the size of a block."""

_RESERVED: Final = 0xFFFF8
_STATES: Final = frozenset({NOT_PRESENT, UNDEFINED, ZEROED, UNMAPPED, PRESENT, PARTIAL})
_PAGE_BLOCKS: Final = 1 << 14


def place_of(entry: int) -> int:
    """The file offset in bytes that an entry holds."""
    return entry >> 20 << 20


class BlockTable:
    """The table in `region` of a file, of the shape that `metadata` tells. BadImage if it is too short for the disk."""

    def __init__(self, name: str, region: Region, metadata: Metadata) -> None:
        self._name = name
        self._offset = region.offset
        self._metadata = metadata
        self.ratio = metadata.ratio
        # Both are powers of two, so that a page holds whole chunks.
        self.page_blocks = max(_PAGE_BLOCKS, self.ratio)
        self.blocks = metadata.blocks
        self.chunks = -(-self.blocks // self.ratio)
        entries = self.chunks * (self.ratio + 1) if metadata.has_parent else self.blocks + max(self.chunks - 1, 0)
        if entries * 8 > region.length:
            raise BadImage(f"the block table of {name} is too short for its {self.blocks:,} blocks")

    def page(self, source: ByteSource, number: int) -> "array[int]":
        """The entries of the blocks of page `number`, without those of the bitmaps."""
        return self._read(source, number)[0]

    def bitmap_place(self, source: ByteSource, chunk: int) -> int:
        """The file offset of the sector bitmap of a chunk. BadImage if it has none."""
        at = self._offset + ((chunk + 1) * (self.ratio + 1) - 1) * 8
        entry = int.from_bytes(field_bytes(source, at, 8, "the block table"), "little")
        if entry & STATE != PRESENT:
            raise BadImage(f"{self._name} lacks the sector bitmap of a partly stored block")
        return place_of(entry)

    def _read(self, source: ByteSource, number: int) -> "tuple[array[int], array[int]]":
        """(entries of blocks, entries of bitmaps) of one page."""
        first = number * self.page_blocks
        count = min(self.page_blocks, self.blocks - first)
        wanted = count + (count - 1) // self.ratio
        if self._metadata.has_parent:
            # The bitmap's entry stands behind a whole chunk, even where the disk ends within it.
            wanted = -(-count // self.ratio) * (self.ratio + 1)
        at = self._offset + (first + first // self.ratio) * 8
        raw = array("Q", field_bytes(source, at, wanted * 8, "the block table"))
        if sys.byteorder == "big":
            raw.byteswap()
        step = self.ratio + 1
        blocks = array("Q")
        for begin in range(0, wanted, step):
            blocks.extend(raw[begin : begin + self.ratio])
        del blocks[count:]
        return blocks, raw[self.ratio :: step]

    def check(self, source: ByteSource, regions: Iterable[Region]) -> int:
        """Looks at every entry; returns how many blocks are stored.

        BadImage for unknown states, and for blocks outside the file, on top of one another or of `regions`.
        """
        space = _Space(source)
        space.take(0, MIB)
        for region in regions:
            space.take(region.offset, region.length)
        stored = 0
        for number in range(-(-self.blocks // self.page_blocks)):
            blocks, bitmaps = self._read(source, number)
            stored += self._check_blocks(blocks, number * self.page_blocks, bitmaps, space)
            if self._metadata.has_parent:
                self._check_bitmaps(bitmaps, space)
        return stored

    def _check_blocks(self, blocks: "array[int]", first: int, bitmaps: "array[int]", space: "_Space") -> int:
        size = self._metadata.block_bytes
        stored = 0
        for index, count in stepping_runs(blocks, STEPS, size):
            entry = blocks[index]
            state = entry & STATE
            if state not in _STATES or entry & _RESERVED or (state == PARTIAL and not self._metadata.has_parent):
                raise BadImage(
                    f"block {first + index:,} of {self._name} has the impossible state {entry & 0xFFFFF:#x}",
                    hint="the file is damaged; copy it again",
                )
            if state < PRESENT:
                continue
            stored += count
            end = min((first + index + count) * size, self._metadata.size_bytes)
            space.take(place_of(entry), end - (first + index) * size)
            if state == PARTIAL:
                chunks = range(index // self.ratio, (index + count - 1) // self.ratio + 1)
                if any(bitmaps[chunk] & STATE != PRESENT for chunk in chunks):
                    raise BadImage(f"{self._name} lacks the sector bitmap of a partly stored block")
        return stored

    def _check_bitmaps(self, bitmaps: "array[int]", space: "_Space") -> None:
        for entry in bitmaps:
            if entry & STATE not in {NOT_PRESENT, PRESENT} or entry & _RESERVED:
                raise BadImage(
                    f"a sector bitmap of {self._name} has the impossible state {entry & 0xFFFFF:#x}",
                    hint="the file is damaged; copy it again",
                )
            if entry & STATE == PRESENT:
                space.take(place_of(entry), MIB)


class _Space:
    """Which MiB of a file are taken; one byte for each."""

    def __init__(self, source: ByteSource) -> None:
        self._name = source.name
        self._size = source.size
        self._taken = bytearray(-(-min(source.size, MOST_FILE_BYTES) // MIB))

    def take(self, offset: int, length: int) -> None:
        if offset + length > self._size or offset + length > MOST_FILE_BYTES:
            raise BadImage(
                f"a block of {self._name} lies outside the file", hint="the file is truncated; copy it again"
            )
        first, end = offset // MIB, -(-(offset + length) // MIB)
        if self._taken.find(1, first, end) >= 0:
            raise BadImage(
                f"two parts of {self._name} lie on top of one another at or after byte {offset:,}",
                hint="the file is damaged; copy it again",
            )
        self._taken[first:end] = b"\1" * (end - first)
