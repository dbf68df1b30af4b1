# SPDX-License-Identifier: Apache-2.0
"""Writes hosted sparse extents ("KDMV"): whole disks, pieces of split disks and deltas.

The layout follows VMware's public "Virtual Disk Format" note: header, embedded descriptor, redundant grain directory
and tables, grain directory and tables, grains.
"""

import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from v2x.model.units import SECTOR

GRAIN_SECTORS = 128
GRAIN_BYTES = GRAIN_SECTORS * SECTOR
TABLE_ENTRIES = 512
DESCRIPTOR_SECTORS = 20
DIRECTORY_IN_FOOTER = 0xFFFF_FFFF_FFFF_FFFF

FLAG_NEWLINE_TEST = 1
FLAG_REDUNDANT = 2
FLAG_ZERO_ENTRIES = 4
FLAG_COMPRESSED = 0x1_0000
FLAG_MARKERS = 0x2_0000

ZERO_ENTRY = 1
_TABLE_SECTORS = TABLE_ENTRIES * 4 // SECTOR


def header(
    *,
    version: int,
    flags: int,
    capacity: int,
    descriptor_offset: int,
    descriptor_sectors: int,
    redundant_directory: int,
    directory: int,
    overhead: int,
    compression: int = 0,
) -> bytes:
    """The one-sector header; sizes and places in sectors."""
    fields = struct.pack(
        "<4sIIQQQQIQQQ?4sH",
        b"KDMV",
        version,
        flags,
        capacity,
        GRAIN_SECTORS,
        descriptor_offset,
        descriptor_sectors,
        TABLE_ENTRIES,
        redundant_directory,
        directory,
        overhead,
        False,
        b"\n \r\n",
        compression,
    )
    return fields.ljust(SECTOR, b"\0")


def write_sparse_extent(
    out: Path,
    *,
    capacity_bytes: int,
    grains: Iterable[tuple[int, bytes]],
    descriptor: str = "",
    zero_entries: bool = False,
) -> None:
    """Write `grains` (number, content) as one sparse extent; `descriptor` is embedded where given.

    With `zero_entries` a grain of zeros becomes an entry that says so, which in a delta hides the parent's grain;
    without, it is stored like any other.
    """
    capacity = capacity_bytes // SECTOR
    tables = -(-capacity // (GRAIN_SECTORS * TABLE_ENTRIES))
    directory_sectors = -(-tables * 4 // SECTOR)
    redundant = 1 + DESCRIPTOR_SECTORS
    directory = redundant + directory_sectors + tables * _TABLE_SECTORS
    end = directory + directory_sectors + tables * _TABLE_SECTORS
    overhead = -(-end // GRAIN_SECTORS) * GRAIN_SECTORS
    flags = FLAG_NEWLINE_TEST | FLAG_REDUNDANT | (FLAG_ZERO_ENTRIES if zero_entries else 0)
    with out.open("wb") as file:
        file.write(
            header(
                version=2 if zero_entries else 1,
                flags=flags,
                capacity=capacity,
                descriptor_offset=1 if descriptor else 0,
                descriptor_sectors=DESCRIPTOR_SECTORS if descriptor else 0,
                redundant_directory=redundant,
                directory=directory,
                overhead=overhead,
            )
        )
        file.write(descriptor.encode())
        file.truncate(overhead * SECTOR)
        entries = _write_grains(file, overhead, grains, zero_entries)
        for place in (redundant, directory):
            _write_tables(file, place, place + directory_sectors, tables, entries)


def _write_grains(
    file: BinaryIO, first: int, grains: Iterable[tuple[int, bytes]], zero_entries: bool
) -> dict[int, dict[int, int]]:
    """Append the grains from sector `first` on; per table number the entries by index."""
    zeros = bytes(GRAIN_BYTES)
    entries: dict[int, dict[int, int]] = {}
    sector = first
    file.seek(sector * SECTOR)
    for number, content in grains:
        table = entries.setdefault(number // TABLE_ENTRIES, {})
        if zero_entries and content == zeros[: len(content)]:
            table[number % TABLE_ENTRIES] = ZERO_ENTRY
            continue
        file.write(content.ljust(GRAIN_BYTES, b"\0"))
        table[number % TABLE_ENTRIES] = sector
        sector += GRAIN_SECTORS
    return entries


def _write_tables(
    file: BinaryIO, directory: int, first_table: int, tables: int, entries: dict[int, dict[int, int]]
) -> None:
    places = [first_table + number * _TABLE_SECTORS for number in range(tables)]
    os.pwrite(file.fileno(), struct.pack(f"<{tables}I", *places), directory * SECTOR)
    for number, table in entries.items():
        packed = struct.pack(f"<{TABLE_ENTRIES}I", *(table.get(index, 0) for index in range(TABLE_ENTRIES)))
        os.pwrite(file.fileno(), packed, places[number] * SECTOR)
