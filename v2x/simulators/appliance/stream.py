# SPDX-License-Identifier: Apache-2.0
"""Writes streamOptimized VMDKs: the disk format inside an OVA, each grain compressed, markers between.

Header, descriptor, compressed grains with a grain table after each group of 512, grain directory, footer, end marker.
"""

import itertools
import struct
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from v2x.model.units import SECTOR
from v2x.simulators.appliance import rawdisk, sparse
from v2x.simulators.appliance.descriptor import CreateType, DiskIdentity, ExtentLine, descriptor

_MARKER_END, _MARKER_TABLE, _MARKER_DIRECTORY, _MARKER_FOOTER = range(4)
_OVERHEAD_SECTORS = 128
_BATCH = 256


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What was written: the file's size, and the bytes of grains with data before compression."""

    size_bytes: int
    populated_bytes: int


def write_stream_optimized(
    raw: Path,
    out: Path,
    *,
    level: int = 1,
    version: int = 3,
    workers: int = 2,
    short_last_grain: bool = False,
    identity: DiskIdentity | None = None,
) -> StreamInfo:
    """Write the content of `raw` to the new file `out`; holes and grains of zeros are left out.

    `version` 3 is what vCenter writes, 1 what VirtualBox and qemu write. Where the disk ends inside a grain, that
    grain is filled up with zeros, or cut at the disk's end with `short_last_grain`: both are met.
    """
    size = rawdisk.size_of(raw)
    capacity = size // SECTOR
    line = ExtentLine(capacity, "SPARSE", "generated-stream.vmdk", access="RDONLY")
    text = descriptor(CreateType.STREAM_OPTIMIZED, [line], identity or DiskIdentity(cid=0x7F2C9D8A))
    writer = _Writer(out, capacity, version, text)
    populated = 0
    with writer.file, ThreadPoolExecutor(workers) as pool:
        writer.begin()
        source = rawdisk.data_grains(raw, sparse.GRAIN_BYTES)
        whole = 0 if short_last_grain else sparse.GRAIN_BYTES
        for batch in _batches(source, _BATCH):
            packed = pool.map(lambda grain: zlib.compress(grain[1].ljust(whole, b"\0"), level), batch)
            for (number, content), data in zip(batch, packed, strict=True):
                writer.add(number, data)
                populated += len(content)
        writer.finish()
    return StreamInfo(out.stat().st_size, populated)


def _batches(source: Iterable[tuple[int, bytes]], count: int) -> Iterator[list[tuple[int, bytes]]]:
    """Lists of at most `count`, so that memory stays bounded while threads compress."""
    iterator = iter(source)
    while batch := list(itertools.islice(iterator, count)):
        yield batch


class _Writer:
    """One stream; grains are added in ascending order."""

    def __init__(self, out: Path, capacity: int, version: int, text: str) -> None:
        self.file = out.open("wb")
        self._capacity = capacity
        self._version = version
        self._text = text
        self._sector = 0
        self._table = [0] * sparse.TABLE_ENTRIES
        self._table_number = -1
        count = -(-capacity // (sparse.GRAIN_SECTORS * sparse.TABLE_ENTRIES))
        self._directory = [0] * count

    def begin(self) -> None:
        self._put(self._header(sparse.DIRECTORY_IN_FOOTER))
        self._put(self._text.encode().ljust(sparse.DESCRIPTOR_SECTORS * SECTOR, b"\0"))
        self._put(bytes((_OVERHEAD_SECTORS - self._sector) * SECTOR))

    def add(self, number: int, packed: bytes) -> None:
        table = number // sparse.TABLE_ENTRIES
        if table != self._table_number:
            self._end_table()
            self._table_number = table
        self._table[number % sparse.TABLE_ENTRIES] = self._sector
        self._put(struct.pack("<QI", number * sparse.GRAIN_SECTORS, len(packed)) + packed)

    def finish(self) -> None:
        self._end_table()
        directory = struct.pack(f"<{len(self._directory)}I", *self._directory)
        self._marker(-(-len(directory) // SECTOR), _MARKER_DIRECTORY)
        place = self._sector
        self._put(directory)
        self._marker(1, _MARKER_FOOTER)
        self._put(self._header(place))
        self._marker(0, _MARKER_END)

    def _end_table(self) -> None:
        if self._table_number < 0:
            return
        packed = struct.pack(f"<{sparse.TABLE_ENTRIES}I", *self._table)
        self._marker(len(packed) // SECTOR, _MARKER_TABLE)
        self._directory[self._table_number] = self._sector
        self._put(packed)
        self._table = [0] * sparse.TABLE_ENTRIES

    def _header(self, directory: int) -> bytes:
        return sparse.header(
            version=self._version,
            flags=sparse.FLAG_NEWLINE_TEST | sparse.FLAG_COMPRESSED | sparse.FLAG_MARKERS,
            capacity=self._capacity,
            descriptor_offset=1,
            descriptor_sectors=sparse.DESCRIPTOR_SECTORS,
            redundant_directory=0,
            directory=directory,
            overhead=_OVERHEAD_SECTORS,
            compression=1,
        )

    def _marker(self, sectors: int, kind: int) -> None:
        self._put(struct.pack("<QII", sectors, 0, kind))

    def _put(self, data: bytes) -> None:
        """Write `data`, filled up to a sector."""
        padding = -len(data) % SECTOR
        self.file.write(data)
        self.file.write(bytes(padding))
        self._sector += (len(data) + padding) // SECTOR
