# SPDX-License-Identifier: Apache-2.0
"""A vmfsSparse delta (`COWD`): grains of one sector, tables of 4096 entries, in place where written again.

Header of four sectors: magic, version 1, flags 3, capacity, grain size, sector of the directory, its entries, next free
sector, all little-endian u32. A table's entry is the sector of the grain, or 0: ask the parent. The format has no entry
for zeros, which are therefore written out.
"""

import os
import struct
from array import array
from collections.abc import Iterator
from pathlib import Path

from v2x.simulators.vsphere.disks.layer import SECTOR, Layer, joined

_HEADER = struct.Struct("<4sIIIIIIIIII")
_DIRECTORY_SECTOR = 4
_ENTRIES = 4096
_SPAN = _ENTRIES * SECTOR
_ZERO_STEP = 1 << 20


class Cowd:
    """A delta file, new or as it was left."""

    kind = "vmfsSparse"

    def __init__(self, path: Path, extent: Path, parent: Layer, cid: str) -> None:
        self.path, self.extent, self.cid = path, extent, cid
        self.parent: Layer | None = parent
        self.size_bytes = parent.size_bytes
        self._tables: dict[int, array[int]] = {}
        self._places: dict[int, int] = {}
        new = not extent.exists()
        self._file = os.open(extent, os.O_RDWR | os.O_CREAT, 0o600)
        self._create() if new else self._load()

    def _create(self) -> None:
        spans = -(-self.size_bytes // _SPAN)
        directory = -(-spans * 4 // SECTOR)
        self._free = _DIRECTORY_SECTOR + directory
        os.ftruncate(self._file, self._free * SECTOR)
        self._write_header()

    def _write_header(self) -> None:
        spans = -(-self.size_bytes // _SPAN)
        head = _HEADER.pack(
            b"COWD", 1, 3, self.size_bytes // SECTOR, 1, _DIRECTORY_SECTOR, spans, self._free, 1024, 255, 63
        )
        os.pwrite(self._file, head, 0)

    def _load(self) -> None:
        magic, _, _, _, _, directory, spans, self._free, *_ = _HEADER.unpack(os.pread(self._file, _HEADER.size, 0))
        if magic != b"COWD" or directory != _DIRECTORY_SECTOR:
            raise ValueError(f"{self.extent} is no delta of the stand-in")
        places = array("I", os.pread(self._file, spans * 4, _DIRECTORY_SECTOR * SECTOR))
        for span, sector in enumerate(places):
            if sector:
                self._places[span] = sector
                self._tables[span] = array("I", os.pread(self._file, _ENTRIES * 4, sector * SECTOR))

    def _runs(self, offset: int, length: int) -> Iterator[tuple[int, int, int]]:
        """(offset, length, sector of the first grain or 0) for stretches that lie together in the file."""
        at, end = offset // SECTOR, (offset + length) // SECTOR
        while at < end:
            span, first = divmod(at, _ENTRIES)
            last = min(_ENTRIES, first + end - at)
            table = self._tables.get(span)
            if table is None:
                yield at * SECTOR, (last - first) * SECTOR, 0
                at += last - first
                continue
            while first < last:
                sector, count = table[first], 1
                while first + count < last and table[first + count] == (sector + count if sector else 0):
                    count += 1
                yield at * SECTOR, count * SECTOR, sector
                first, at = first + count, at + count

    def read(self, offset: int, length: int) -> bytes:
        parts = []
        for start, count, sector in self._runs(offset, length):
            if sector:
                parts.append(os.pread(self._file, count, sector * SECTOR))
            elif self.parent is not None:
                parts.append(self.parent.read(start, count))
        return b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        for start, count, sector in list(self._runs(offset, len(data))):
            piece = data[start - offset : start - offset + count]
            place = sector or self._allocate(start // SECTOR, count // SECTOR)
            os.pwrite(self._file, piece, place * SECTOR)

    def _allocate(self, at: int, count: int) -> int:
        """Entries for `count` sectors within one table, whose grains lie together at the end of the file."""
        span, first = divmod(at, _ENTRIES)
        table = self._tables.get(span)
        if table is None:
            table = self._tables[span] = array("I", bytes(_ENTRIES * 4))
            self._places[span], self._free = self._free, self._free + _ENTRIES * 4 // SECTOR
            os.pwrite(self._file, struct.pack("<I", self._places[span]), _DIRECTORY_SECTOR * SECTOR + span * 4)
            os.pwrite(self._file, table.tobytes(), self._places[span] * SECTOR)
        sector, self._free = self._free, self._free + count
        for number in range(count):
            table[first + number] = sector + number
        os.ftruncate(self._file, self._free * SECTOR)
        os.pwrite(self._file, table[first : first + count].tobytes(), self._places[span] * SECTOR + first * 4)
        self._write_header()
        return sector

    def zero(self, offset: int, length: int) -> None:
        while length:
            step = min(length, _ZERO_STEP)
            self.write(offset, bytes(step))
            offset, length = offset + step, length - step

    def areas(self) -> Iterator[tuple[int, int]]:
        def held() -> Iterator[tuple[int, int]]:
            for span in sorted(self._tables):
                length = min(_SPAN, self.size_bytes - span * _SPAN)
                yield from ((start, n) for start, n, sector in self._runs(span * _SPAN, length) if sector)

        yield from joined(held())

    def data(self) -> Iterator[tuple[int, int]]:
        return self.areas()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
