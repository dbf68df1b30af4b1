# SPDX-License-Identifier: Apache-2.0
"""VHDs as layers. A dynamic block is a bitmap, one bit per sector with the first one highest, then its sectors.

A sector whose bit is 0 was never written: it is the parent's in a differencing disk, and zeros in a dynamic one,
whatever lies in its place (on block devices that is what was there before).
"""

import sys
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from v2x.disks.chain import ABSENT, DATA, ZERO, Part
from v2x.disks.flat import FlatLayer
from v2x.disks.interface import ByteSource
from v2x.disks.parents import Identity, ParentLink
from v2x.disks.probe.fields import field_bytes
from v2x.disks.runs import stepping_runs
from v2x.disks.sectors import sector_map, stretches
from v2x.disks.vhd.structure import (
    DIFFERENCING,
    FIXED,
    FOOTER_BYTES,
    HEADER_BYTES,
    SECTOR_BYTES,
    VARIANTS,
    Footer,
    Header,
    read_footer,
    read_header,
)
from v2x.errors import BadImage

_UNUSED: Final = 0xFFFFFFFF
_PAGE_ENTRIES: Final = 1 << 16
_BITMAPS_KEPT: Final = 8


class FixedVhd(FlatLayer):
    """A ChainLayer over a fixed VHD: the disk's bytes, then the footer."""

    variant = VARIANTS[FIXED]
    parent: ParentLink | None = None
    sector_bytes = SECTOR_BYTES

    def __init__(self, source: ByteSource, footer: Footer) -> None:
        super().__init__(source, 0, footer.size_bytes)
        self._footer = footer

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def identity(self) -> Identity:
        return self._footer.identity

    @property
    def allocated_bytes(self) -> int:
        return self.size

    def clone(self) -> "FixedVhd":
        return FixedVhd(self._source.clone(), self._footer)


class BlockTable:
    """The block table of a VHD: for each block the sector of its bitmap, or all ones. Shared between clones."""

    def __init__(self, source: ByteSource, footer: Footer, header: Header) -> None:
        """Reads and checks the table. BadImage for blocks outside the file or on top of something else."""
        self._header = header
        self._size = footer.size_bytes
        self.entries = array("I")
        for first in range(0, header.blocks, _PAGE_ENTRIES):
            count = min(_PAGE_ENTRIES, header.blocks - first)
            page = array("I", field_bytes(source, header.table_offset + first * 4, count * 4, "the block table"))
            self.entries.extend(page)
        if sys.byteorder == "little":
            self.entries.byteswap()
        self.stored_blocks = len(self.entries) - self.entries.count(_UNUSED)
        self._check(source, footer)

    def _check(self, source: ByteSource, footer: Footer) -> None:
        header = self._header
        stride = (header.bitmap_bytes + header.block_bytes) // SECTOR_BYTES
        # Start and end in sectors as one number each, since there may be millions.
        taken = [
            _span(0, FOOTER_BYTES),
            _span(footer.header_offset, HEADER_BYTES),
            _span(header.table_offset, header.blocks * 4),
            _span(source.size - FOOTER_BYTES, FOOTER_BYTES),
        ]
        for index, count in stepping_runs(self.entries, {_UNUSED: 0}, stride):
            if self.entries[index] != _UNUSED:
                first = self.entries[index] * SECTOR_BYTES
                last = index + count - 1
                end = self.entries[last] * SECTOR_BYTES + header.bitmap_bytes + self._used(last)
                if end > source.size:
                    raise BadImage(
                        f"a block of {source.name} lies outside the file (sector {self.entries[last]:,})",
                        hint="the file is truncated or damaged; copy it again",
                    )
                taken.append(_span(first, end - first))
        taken.sort()
        covered = 0
        for span in taken:
            if span >> 40 < covered:
                raise BadImage(
                    f"two parts of {source.name} lie on top of one another at sector {span >> 40:,}",
                    hint="the file is damaged; copy it again",
                )
            covered = max(covered, span & (1 << 40) - 1)

    def _used(self, block: int) -> int:
        """How much of a block belongs to the disk: writers may leave out what lies beyond its end."""
        return min(self._header.block_bytes, self._size - block * self._header.block_bytes)


def _span(offset: int, length: int) -> int:
    return offset // SECTOR_BYTES << 40 | -(-(offset + length) // SECTOR_BYTES)


class DynamicVhd:
    """A ChainLayer over a dynamic or differencing VHD, which it owns."""

    sector_bytes = SECTOR_BYTES

    def __init__(self, source: ByteSource, footer: Footer, header: Header, table: BlockTable) -> None:
        self._source = source
        self._footer = footer
        self._header = header
        self._table = table
        self._absent = ABSENT if footer.kind == DIFFERENCING else ZERO
        self._maps: OrderedDict[int, str] = OrderedDict()

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def size(self) -> int:
        return self._footer.size_bytes

    @property
    def block(self) -> int:
        return self._header.block_bytes

    @property
    def identity(self) -> Identity:
        return self._footer.identity

    @property
    def parent(self) -> ParentLink | None:
        return self._header.parent

    @property
    def variant(self) -> str:
        return VARIANTS[self._footer.kind]

    @property
    def allocated_bytes(self) -> int:
        return min(self.size, self._table.stored_blocks * self._header.block_bytes)

    def parts(self, start: int, length: int) -> Iterator[Part]:
        """With the bitmaps read, and neighbouring sectors of one kind as one part."""
        end = start + length
        while start < end:
            number = start // self._header.block_bytes
            entry = self._table.entries[number]
            limit = min(end, self._end_of(number, entry, end))
            if entry == _UNUSED:
                yield Part(start, limit - start, self._absent, 0)
            else:
                yield from self._within(number, entry, start, limit)
            start = limit

    def parts_with_holes(self, start: int, length: int) -> Iterator[Part]:
        """From the block table alone: a stored block counts as data, whatever its bitmap says."""
        end = start + length
        while start < end:
            number = start // self._header.block_bytes
            entry = self._table.entries[number]
            limit = min(end, self._end_of(number, entry, end))
            yield Part(start, limit - start, self._absent if entry == _UNUSED else DATA, 0)
            start = limit

    def _end_of(self, number: int, entry: int, end: int) -> int:
        """Where the block ends, or the run of unused ones that it begins; looked for up to `end` only."""
        following = number + 1
        if entry == _UNUSED:
            entries = self._table.entries
            last = -(-end // self._header.block_bytes)
            while following < last and entries[following] == _UNUSED:
                following += 1
        return following * self._header.block_bytes

    def _within(self, number: int, entry: int, start: int, end: int) -> Iterator[Part]:
        base = number * self._header.block_bytes
        data = entry * SECTOR_BYTES + self._header.bitmap_bytes - base
        first, last = (start - base) // SECTOR_BYTES, (end - base - 1) // SECTOR_BYTES + 1
        for stretch in stretches(self._map(number, entry), first, last):
            begin = max(start, base + stretch.first * SECTOR_BYTES)
            stop = min(end, base + stretch.end * SECTOR_BYTES)
            yield Part(begin, stop - begin, DATA if stretch.present else self._absent, data + begin)

    def _map(self, number: int, entry: int) -> str:
        found = self._maps.get(number)
        if found is None:
            length = self._header.block_bytes // SECTOR_BYTES
            raw = field_bytes(self._source, entry * SECTOR_BYTES, -(-length // 8), "a sector bitmap")
            found = self._maps[number] = sector_map(raw, high_bit_first=True)
            if len(self._maps) > _BITMAPS_KEPT:
                self._maps.popitem(last=False)
        return found

    def read_part(self, part: Part, view: memoryview) -> None:
        self._source.read_into(part.at, view)

    def read_span(self, at: int, view: memoryview) -> None:
        self._source.read_into(at, view)

    def clone(self) -> "DynamicVhd":
        return DynamicVhd(self._source.clone(), self._footer, self._header, self._table)

    def close(self) -> None:
        self._source.close()


def open_layer(source: ByteSource) -> FixedVhd | DynamicVhd:
    """Any VHD, checked; the layer owns `source`. BadImage, Unsupported."""
    footer = read_footer(source)
    if footer.kind == FIXED:
        return FixedVhd(source, footer)
    header = read_header(source, footer)
    return DynamicVhd(source, footer, header, BlockTable(source, footer, header))
