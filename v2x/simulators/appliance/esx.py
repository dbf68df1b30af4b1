# SPDX-License-Identifier: Apache-2.0
"""Writes the delta extents of ESXi: COWD (createType vmfsSparse) and seSparse.

Neither format has a public specification; what is written here is what qemu's reader documents and accepts, so a pass
against qemu is no proof against files of a real ESXi.
"""

import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from v2x.model.units import SECTOR

COWD_TABLE_ENTRIES = 4096
SESPARSE_GRAIN_BYTES = 8 * SECTOR
_SESPARSE_TABLE_SECTORS = 64
_SESPARSE_TABLE_ENTRIES = _SESPARSE_TABLE_SECTORS * SECTOR // 8
_SESPARSE_JOURNAL, _SESPARSE_JOURNAL_SECTORS = 2048, 2048
_SESPARSE_DIRECTORY = 4096
_ALLOCATED, _ZERO, _UNMAPPED = 3 << 60, 2 << 60, 1 << 60


def write_cowd_extent(
    out: Path, *, capacity_bytes: int, grains: Iterable[tuple[int, bytes]], grain_sectors: int = 1
) -> None:
    """Write `grains` (number, content of `grain_sectors` sectors, ascending) as a COWD delta."""
    capacity = capacity_bytes // SECTOR
    tables = -(-capacity // (COWD_TABLE_ENTRIES * grain_sectors))
    directory: dict[int, int] = {}
    table: dict[int, int] = {}
    current = -1
    sector = 4 + -(-tables * 4 // SECTOR)
    with out.open("wb") as file:
        for number, content in grains:
            if number // COWD_TABLE_ENTRIES != current:
                _end_cowd_table(file, directory.get(current), table)
                current, table = number // COWD_TABLE_ENTRIES, {}
                directory[current] = sector
                sector += COWD_TABLE_ENTRIES * 4 // SECTOR
            table[number % COWD_TABLE_ENTRIES] = sector
            os.pwrite(file.fileno(), content.ljust(grain_sectors * SECTOR, b"\0"), sector * SECTOR)
            sector += grain_sectors
        _end_cowd_table(file, directory.get(current), table)
        fields = (b"COWD", 1, 3, capacity, grain_sectors, 4, tables, sector)
        os.pwrite(file.fileno(), struct.pack("<4s7I", *fields), 0)
        places = (directory.get(number, 0) for number in range(tables))
        os.pwrite(file.fileno(), struct.pack(f"<{tables}I", *places), 4 * SECTOR)
        file.truncate(sector * SECTOR)


def _end_cowd_table(file: BinaryIO, place: int | None, table: dict[int, int]) -> None:
    if place is not None:
        entries = (table.get(index, 0) for index in range(COWD_TABLE_ENTRIES))
        os.pwrite(file.fileno(), struct.pack(f"<{COWD_TABLE_ENTRIES}I", *entries), place * SECTOR)


def write_sesparse_extent(
    out: Path,
    *,
    capacity_bytes: int,
    grains: Iterable[tuple[int, bytes]],
    first_number: int = 0,
    zero_entries: bool = True,
    unmapped: Iterable[int] = (),
) -> None:
    """Write `grains` (number, 4 KiB of content, ascending) as a seSparse delta.

    `first_number` is the number given to the first stored grain: a high one, in a sparse file, shows how a reader puts
    the two halves of a number together. `unmapped` grains get entries of that kind, which fall through to the parent.
    """
    capacity = capacity_bytes // SECTOR
    tables = -(-capacity // (8 * _SESPARSE_TABLE_ENTRIES))
    directory_sectors = -(-tables * 8 // SECTOR)
    tables_at = _SESPARSE_DIRECTORY + directory_sectors
    tables_sectors = tables * _SESPARSE_TABLE_SECTORS
    bitmap_at = tables_at + tables_sectors
    bitmap_sectors = backmap_sectors = 8
    grains_at = -(-(bitmap_at + bitmap_sectors + backmap_sectors) // 8) * 8
    rows: dict[int, dict[int, int]] = {}
    for grain in unmapped:
        _sesparse_row(rows, grain)[grain % _SESPARSE_TABLE_ENTRIES] = _UNMAPPED
    number = first_number
    with out.open("wb") as file:
        for grain, content in grains:
            row = _sesparse_row(rows, grain)
            if zero_entries and not any(content):
                row[grain % _SESPARSE_TABLE_ENTRIES] = _ZERO
                continue
            row[grain % _SESPARSE_TABLE_ENTRIES] = _ALLOCATED | (number & 0xFFF) << 48 | number >> 12
            place = grains_at * SECTOR + number * SESPARSE_GRAIN_BYTES
            os.pwrite(file.fileno(), content.ljust(SESPARSE_GRAIN_BYTES, b"\0"), place)
            number += 1
        areas = [
            (1, 1), (2, 2), (_SESPARSE_JOURNAL, _SESPARSE_JOURNAL_SECTORS), (_SESPARSE_DIRECTORY, directory_sectors),
            (tables_at, tables_sectors), (bitmap_at, bitmap_sectors),
            (bitmap_at + bitmap_sectors, backmap_sectors), (grains_at, number * 8),
        ]  # fmt: skip
        places = [value for area in areas for value in area]
        constant = (0xCAFEBABE, 0x2_0000_0001, capacity, 8, _SESPARSE_TABLE_SECTORS, 0, 0, 0, 0, 0, *places)
        os.pwrite(file.fileno(), struct.pack(f"<{len(constant)}Q", *constant), 0)
        os.pwrite(file.fileno(), struct.pack("<4Q", 0xCAFECAFE, len(rows), 1, 0), SECTOR)
        _write_sesparse_tables(file, tables_at, rows)
        file.truncate(max(grains_at * SECTOR + number * SESPARSE_GRAIN_BYTES, file.seek(0, os.SEEK_END)))


def _sesparse_row(rows: dict[int, dict[int, int]], grain: int) -> dict[int, int]:
    return rows.setdefault(grain // _SESPARSE_TABLE_ENTRIES, {})


def _write_sesparse_tables(file: BinaryIO, tables_at: int, rows: dict[int, dict[int, int]]) -> None:
    """Tables are numbered in the order of their first use, as an allocator would, not by the span they map."""
    for index, (span, row) in enumerate(rows.items()):
        entry = 1 << 60 | index
        os.pwrite(file.fileno(), struct.pack("<Q", entry), _SESPARSE_DIRECTORY * SECTOR + span * 8)
        packed = struct.pack(
            f"<{_SESPARSE_TABLE_ENTRIES}Q", *(row.get(slot, 0) for slot in range(_SESPARSE_TABLE_ENTRIES))
        )
        os.pwrite(file.fileno(), packed, (tables_at + index * _SESPARSE_TABLE_SECTORS) * SECTOR)
