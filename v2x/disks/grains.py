# SPDX-License-Identifier: Apache-2.0
"""Layers over two-level tables: a directory of tables, tables of grains, which QCOW2 calls clusters.

Directory and tables are read when needed and kept in small caches, so a disk of many TiB needs a few MiB. A table is
kept as runs: neighbouring grains of one kind, for data also neighbouring in the file, so that one run is one read.
"""

import sys
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from v2x.disks.chain import ABSENT, DATA, ZERO, Part
from v2x.disks.interface import ByteSource
from v2x.disks.probe.fields import field_bytes
from v2x.errors import BadImage

TARGET_ABSENT: Final = -1
TARGET_ZERO: Final = -2

_TABLES_KEPT: Final = 4
_PAGES_KEPT: Final = 2
_PAGE_ENTRIES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """The shape of the two levels. `entry_bytes` (4 or 8) and `byte_order` hold for directory and tables alike."""

    size_bytes: int
    grain_bytes: int
    table_entries: int
    entry_bytes: int
    directory_offset: int
    directory_entries: int
    byte_order: Literal["little", "big"] = "little"


class Runs:
    """One table. Run `i` begins at grain `starts[i]` of the table; its target is a file offset or one of TARGET_*."""

    __slots__ = ("entries", "starts", "targets")

    def __init__(self, entries: "array[int]", starts: "array[int]", targets: "array[int]") -> None:
        self.entries = entries
        self.starts = starts
        self.targets = targets


class GrainLayer(ABC):
    """A Layer read through directory and tables of `source`, which it owns."""

    experimental = False

    def __init__(self, source: ByteSource, geometry: Geometry) -> None:
        self._source = source
        self._geometry = geometry
        self._span = geometry.grain_bytes * geometry.table_entries
        self._tables: OrderedDict[int, Runs] = OrderedDict()
        self._pages: OrderedDict[int, array[int]] = OrderedDict()

    @property
    def size(self) -> int:
        return self._geometry.size_bytes

    @property
    def block(self) -> int:
        return self._geometry.grain_bytes

    def close(self) -> None:
        self._source.close()

    @abstractmethod
    def clone(self) -> "GrainLayer": ...

    @abstractmethod
    def table_offset(self, entry: int) -> int:
        """The file offset of the table that a non-zero directory entry names; BadImage if it names none."""

    @abstractmethod
    def decode(self, entries: "array[int]") -> Runs:
        """The runs of one table; BadImage for entries that point outside the file."""

    def read_part(self, part: Part, view: memoryview) -> None:
        self._source.read_into(part.at, view)

    def parts_with_holes(self, start: int, length: int) -> Iterator[Part]:
        return self.parts(start, length)

    def parts(self, start: int, length: int) -> Iterator[Part]:
        end = start + length
        while start < end:
            index = start // self._span
            entry, following = self._directory(index)
            limit = min(end, following * self._span)
            if entry == 0:
                yield Part(start, limit - start, ABSENT, 0)
            else:
                yield from self._within(index, entry, start, limit)
            start = limit

    def allocated_estimate(self) -> int:
        """At most so many bytes are stored, told from the directory and the file's size without reading tables."""
        pages = range(-(-self._geometry.directory_entries // _PAGE_ENTRIES))
        tables = sum(len(page) - page.count(0) for page in map(self._page, pages))
        return min(tables * self._span, self._geometry.size_bytes, self.stored_limit())

    def stored_limit(self) -> int:
        """How many bytes of the disk the file could hold by its size."""
        return self._source.size

    def runs_of(self, index: int, entry: int) -> Runs:
        """The runs of table `index`, from the cache if it is there."""
        runs = self._tables.get(index)
        if runs is not None:
            self._tables.move_to_end(index)
            return runs
        geometry = self._geometry
        offset = self.table_offset(entry)
        grains = -(-geometry.size_bytes // geometry.grain_bytes)
        # What the last table holds for grains beyond the end of the disk means nothing and is not looked at.
        count = min(geometry.table_entries, grains - index * geometry.table_entries)
        runs = self.decode(self._entries(offset, count, "grain table"))
        self._tables[index] = runs
        if len(self._tables) > _TABLES_KEPT:
            self._tables.popitem(last=False)
        return runs

    def entries_at(self, numbers: Iterable[int]) -> Iterator[int]:
        """The entries of grains that are stored."""
        table, entries = -1, array("I")
        for number in numbers:
            index, place = divmod(number, self._geometry.table_entries)
            if index != table:
                table, entries = index, self.runs_of(index, self._directory(index)[0]).entries
            yield entries[place]

    def _within(self, index: int, entry: int, start: int, limit: int) -> Iterator[Part]:
        runs = self.runs_of(index, entry)
        starts, targets = runs.starts, runs.targets
        grain_bytes = self._geometry.grain_bytes
        base = index * self._span
        at = bisect_right(starts, (start - base) // grain_bytes) - 1
        while start < limit:
            begin = base + starts[at] * grain_bytes
            end = limit if at + 1 == len(starts) else min(limit, base + starts[at + 1] * grain_bytes)
            target = targets[at]
            if target >= 0:
                yield Part(start, end - start, DATA, target + start - begin)
            else:
                yield Part(start, end - start, ABSENT if target == TARGET_ABSENT else ZERO, 0)
            start = end
            at += 1

    def _directory(self, index: int) -> tuple[int, int]:
        """The entry of table `index`, and the index after the run of empty entries it belongs to (else `index` + 1)."""
        page = self._page(index // _PAGE_ENTRIES)
        at = index % _PAGE_ENTRIES
        entry = page[at]
        following = at + 1
        if entry == 0:
            while following < len(page) and page[following] == 0:
                following += 1
        return entry, index - at + following

    def _page(self, number: int) -> "array[int]":
        page = self._pages.get(number)
        if page is None:
            geometry = self._geometry
            first = number * _PAGE_ENTRIES
            count = min(_PAGE_ENTRIES, geometry.directory_entries - first)
            page = self._entries(geometry.directory_offset + first * geometry.entry_bytes, count, "grain directory")
            self._pages[number] = page
            if len(self._pages) > _PAGES_KEPT:
                self._pages.popitem(last=False)
        return page

    def _entries(self, offset: int, count: int, what: str) -> "array[int]":
        size = count * self._geometry.entry_bytes
        raw = field_bytes(self._source, offset, size, f"a {what}")
        entries = array("I" if self._geometry.entry_bytes == 4 else "Q", raw)
        if sys.byteorder != self._geometry.byte_order:
            entries.byteswap()
        return entries

    def outside(self, number: int) -> BadImage:
        """The refusal of a table entry that points beyond the file."""
        return BadImage(
            f"a grain of {self._source.name} lies outside the file (table entry {number:#x})",
            hint="the file is truncated or damaged; copy it again",
        )
