# SPDX-License-Identifier: Apache-2.0
"""A seSparse delta: grains of 4 KiB, tables of 4096 entries of 64 bits, with entries for zeros.

All fields are little-endian u64 and count sectors. An entry's top four bits say what the grain is: 0 not here, 1
unmapped, 2 zeros, 3 data, whose number has its low twelve bits in bits 48 to 59 of the entry.
"""

import os
import struct
from array import array
from collections.abc import Iterator
from pathlib import Path

from v2x.simulators.vsphere.disks.layer import SECTOR, Layer, joined

GRAIN = 8 * SECTOR
_TABLE_SECTORS = 64
_ENTRIES = _TABLE_SECTORS * SECTOR // 8
_SPAN = _ENTRIES * GRAIN
_MAGIC, _VOLATILE_MAGIC, _VERSION = 0xCAFEBABE, 0xCAFECAFE, 0x0000000200000001
_ZERO, _DATA, _ALLOCATED = 2 << 60, 3 << 60, 1 << 60
_NUMBER = (1 << 60) - 1


def entry_of(number: int) -> int:
    """The table's entry for grain `number`."""
    return _DATA | (number & 0xFFF) << 48 | number >> 12


def number_of(entry: int) -> int:
    return (entry >> 48 & 0xFFF) | (entry & 0xFFFFFFFFFFFF) << 12


class SeSparse:
    """A delta file, new or as it was left."""

    kind = "seSparse"

    def __init__(self, path: Path, extent: Path, parent: Layer, cid: str) -> None:
        self.path, self.extent, self.cid = path, extent, cid
        self.parent: Layer | None = parent
        self.size_bytes = parent.size_bytes
        self._tables: dict[int, array[int]] = {}
        self._index: dict[int, int] = {}
        spans = -(-self.size_bytes // _SPAN)
        self._directory = 4096
        self._table_area = self._directory + -(-spans * 8 // SECTOR // 8) * 8 + 8
        self._bitmap = self._table_area + spans * _TABLE_SECTORS
        grains = -(-self.size_bytes // GRAIN)
        bitmap = (grains // 8 // GRAIN + 1) * 8 + 8
        self._backmap = self._bitmap + bitmap
        self._grains = self._backmap + -(-grains * 8 // GRAIN) * 8 + 8
        self._count = 0
        new = not extent.exists()
        self._file = os.open(extent, os.O_RDWR | os.O_CREAT, 0o600)
        self._create(spans) if new else self._load(spans)

    def _create(self, spans: int) -> None:
        areas = (
            (1, 1),  # volatile header
            (2, 1),  # journal header
            (2048, 2048),  # journal
            (self._directory, self._table_area - self._directory),
            (self._table_area, spans * _TABLE_SECTORS),
            (self._bitmap, self._backmap - self._bitmap),
            (self._backmap, self._grains - self._backmap),
            (self._grains, 0),
        )
        fixed = (_MAGIC, _VERSION, self.size_bytes // SECTOR, GRAIN // SECTOR, _TABLE_SECTORS, 0, 0, 0, 0, 0)
        head = struct.pack("<26Q", *fixed, *(number for area in areas for number in area))
        os.ftruncate(self._file, self._grains * SECTOR)
        os.pwrite(self._file, head, 0)
        os.pwrite(self._file, struct.pack("<4Q", _VOLATILE_MAGIC, 0, 1, 0), SECTOR)

    def _load(self, spans: int) -> None:
        directory = array("Q", os.pread(self._file, spans * 8, self._directory * SECTOR))
        for span, entry in enumerate(directory):
            if entry:
                index = self._index[span] = entry & _NUMBER
                self._tables[span] = array("Q", os.pread(self._file, _ENTRIES * 8, self._table_place(index)))
        self._count = (os.fstat(self._file).st_size // SECTOR - self._grains) // (GRAIN // SECTOR)

    def _table_place(self, index: int) -> int:
        return (self._table_area + index * _TABLE_SECTORS) * SECTOR

    def _grain_place(self, number: int) -> int:
        return self._grains * SECTOR + number * GRAIN

    def _entry(self, grain: int) -> int:
        table = self._tables.get(grain // _ENTRIES)
        return table[grain % _ENTRIES] if table is not None else 0

    def _set(self, grain: int, entry: int) -> None:
        span, at = divmod(grain, _ENTRIES)
        table = self._tables.get(span)
        if table is None:
            table = self._tables[span] = array("Q", bytes(_ENTRIES * 8))
            index = self._index[span] = len(self._index)
            os.pwrite(self._file, struct.pack("<Q", _ALLOCATED | index), self._directory * SECTOR + span * 8)
        table[at] = entry
        os.pwrite(self._file, struct.pack("<Q", entry), self._table_place(self._index[span]) + at * 8)

    def read(self, offset: int, length: int) -> bytes:
        first, last = offset // GRAIN, -(-(offset + length) // GRAIN)
        data = b"".join(self._read_grains(first, last))
        return data[offset - first * GRAIN : offset - first * GRAIN + length]

    def _read_grains(self, first: int, last: int) -> Iterator[bytes]:
        while first < last:
            entry, count = self._entry(first), 1
            kind = entry >> 60
            while first + count < last and self._follows(entry, self._entry(first + count), count):
                count += 1
            if kind == 3:
                data = os.pread(self._file, count * GRAIN, self._grain_place(number_of(entry)))
            elif kind == 2 or self.parent is None:
                data = b""
            else:
                start = first * GRAIN
                data = self.parent.read(start, min(count * GRAIN, self.size_bytes - start))
            yield data + bytes(count * GRAIN - len(data))
            first += count

    @staticmethod
    def _follows(entry: int, other: int, count: int) -> bool:
        if entry >> 60 != other >> 60:
            return False
        return entry >> 60 != 3 or number_of(other) == number_of(entry) + count

    def write(self, offset: int, data: bytes) -> None:
        end = offset + len(data)
        for grain in range(offset // GRAIN, -(-end // GRAIN)):
            start = grain * GRAIN
            low, high = max(start, offset), min(start + GRAIN, end)
            piece = data[low - offset : high - offset]
            if high - low < GRAIN and self._entry(grain) >> 60 != 3:
                whole = bytearray(b"".join(self._read_grains(grain, grain + 1)))
                whole[low - start : high - start] = piece
                low, piece = start, bytes(whole)
            os.pwrite(self._file, piece, self._place_for(grain) + low - start)

    def _place_for(self, grain: int) -> int:
        entry = self._entry(grain)
        if entry >> 60 == 3:
            return self._grain_place(number_of(entry))
        number, self._count = self._count, self._count + 1
        os.ftruncate(self._file, self._grain_place(self._count))
        self._set(grain, entry_of(number))
        return self._grain_place(number)

    def zero(self, offset: int, length: int) -> None:
        end = offset + length
        first, last = -(-offset // GRAIN), end // GRAIN
        if first >= last:
            self.write(offset, bytes(length))
            return
        if offset < first * GRAIN:
            self.write(offset, bytes(first * GRAIN - offset))
        for grain in range(first, last):
            self._set(grain, _ZERO)
        if last * GRAIN < end:
            self.write(last * GRAIN, bytes(end - last * GRAIN))

    def areas(self) -> Iterator[tuple[int, int]]:
        def held() -> Iterator[tuple[int, int]]:
            for span in sorted(self._tables):
                for at, entry in enumerate(self._tables[span]):
                    start = (span * _ENTRIES + at) * GRAIN
                    if entry >> 60 >= 2 and start < self.size_bytes:
                        yield start, min(GRAIN, self.size_bytes - start)

        yield from joined(held())

    def data(self) -> Iterator[tuple[int, int]]:
        return self.areas()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
