# SPDX-License-Identifier: Apache-2.0
"""Deltas of newer ESXi (seSparse). Experimental: checked against qemu and own writers, not against files of an ESXi.

All fields are u64 little-endian; offsets and sizes in sectors. The journal is not replayed: an extent with a pending
journal is refused. Grains that the guest unmapped keep the number of their old place and read as zeros, as qemu and
Xen Orchestra read them.
"""

import struct
from array import array
from collections.abc import Iterator
from typing import Final

from v2x.disks.chain import MAX_DISK_BYTES
from v2x.disks.grains import TARGET_ABSENT, TARGET_ZERO, Geometry, GrainLayer, Runs
from v2x.disks.interface import ByteSource
from v2x.disks.runs import stepping_runs
from v2x.disks.vmdk.descriptor import SECTOR_BYTES
from v2x.disks.vmdk.header import read_bytes
from v2x.errors import BadImage, Unsupported

MAGIC: Final = struct.pack("<Q", 0xCAFEBABE)
VOLATILE_MAGIC: Final = 0xCAFECAFE
VERSION: Final = 0x0000000200000001
GRAIN_SECTORS: Final = 8
TABLE_SECTORS: Final = 64
TABLE_ENTRIES: Final = 4096
_FIELDS = struct.Struct("<26Q")

_NIBBLE: Final = 0xF << 60
_UNMAPPED, _ZERO, _STORED = 1 << 60, 2 << 60, 3 << 60
_STEP: Final = 1 << 48  # the low twelve bits of the grain number stand at bit 48


class SeSparseLayer(GrainLayer):
    """A Layer over one seSparse extent; grains absent in it are the parent's."""

    experimental = True

    def __init__(
        self, source: ByteSource, geometry: Geometry, tables_offset: int, grains_offset: int, volatile_offset: int
    ) -> None:
        super().__init__(source, geometry)
        self._tables_offset = tables_offset
        self._grains_offset = grains_offset
        self._volatile_offset = volatile_offset
        directory = geometry.directory_offset
        self._taken = (
            (0, SECTOR_BYTES),
            (volatile_offset, volatile_offset + SECTOR_BYTES),
            (directory, directory + geometry.directory_entries * geometry.entry_bytes),
        )

    @classmethod
    def open(cls, source: ByteSource, size_bytes: int) -> "SeSparseLayer":
        """Checks both headers; BadImage if they do not cover `size_bytes`. Takes `source` over on success."""
        name = source.name
        fields = _FIELDS.unpack(read_bytes(source, 0, _FIELDS.size))
        magic, version, capacity, grain, table, flags = fields[:6]
        if struct.pack("<Q", magic) != MAGIC:
            raise BadImage(f"{name} has no seSparse header", hint="the file is damaged; copy it again")
        if (version, grain, table, flags) != (VERSION, GRAIN_SECTORS, TABLE_SECTORS, 0) or any(fields[6:10]):
            raise Unsupported(
                f"{name} is an seSparse extent of an unknown shape (version {version:#x}, flags {flags:#x})",
                hint="consolidate the snapshots at the source",
            )
        if capacity * SECTOR_BYTES > MAX_DISK_BYTES or not 0 <= capacity * SECTOR_BYTES - size_bytes < 4096:
            raise BadImage(
                f"{name} holds {capacity * SECTOR_BYTES:,} bytes where its descriptor says {size_bytes:,}",
                hint="copy descriptor and extent again from one point in time",
            )
        sectors = -(-source.size // SECTOR_BYTES)
        if any(offset > sectors for offset in fields[10::2]):
            raise BadImage(f"{name} has metadata outside the file", hint="the file is truncated; copy it again")
        cls._check_volatile(source, fields[10])
        needed = -(-capacity // (GRAIN_SECTORS * TABLE_ENTRIES))
        directory, directory_sectors = fields[16], fields[17]
        if directory_sectors * SECTOR_BYTES < needed * 8 or directory + directory_sectors > sectors:
            raise BadImage(
                f"the grain directory of {name} is too small or lies outside the file",
                hint="the file is truncated or damaged; copy it again",
            )
        geometry = Geometry(
            size_bytes=size_bytes,
            grain_bytes=GRAIN_SECTORS * SECTOR_BYTES,
            table_entries=TABLE_ENTRIES,
            entry_bytes=8,
            directory_offset=directory * SECTOR_BYTES,
            directory_entries=needed,
        )
        return cls(source, geometry, fields[18] * SECTOR_BYTES, fields[24] * SECTOR_BYTES, fields[10] * SECTOR_BYTES)

    @staticmethod
    def _check_volatile(source: ByteSource, sector: int) -> None:
        magic, _, _, replay = struct.unpack("<4Q", read_bytes(source, sector * SECTOR_BYTES, 32))
        if magic != VOLATILE_MAGIC:
            raise BadImage(f"{source.name} has no volatile header", hint="the file is damaged; copy it again")
        if replay:
            raise Unsupported(
                f"{source.name} has a journal that was not written back",
                hint="power the machine on and off once, or consolidate its snapshots at the source",
            )

    def table_offset(self, entry: int) -> int:
        if entry >> 32 != 0x10000000:
            raise BadImage(f"{self._source.name} has an unknown directory entry {entry:#x}")
        return self._tables_offset + (entry & 0xFFFFFFFF) * TABLE_SECTORS * SECTOR_BYTES

    def decode(self, entries: "array[int]") -> Runs:
        starts, targets = array("I"), array("q")
        following = -1
        for begin, count in stepping_runs(entries, {0: 0, _UNMAPPED: 0, _ZERO: 0}, _STEP):
            for index, first, length in _of_one_kind(begin, entries[begin], count):
                target = self._target(first)
                self._require_apart(target, length)
                if target < 0 or target != following:
                    starts.append(index)
                    targets.append(target)
                following = target + length * GRAIN_SECTORS * SECTOR_BYTES if target >= 0 else -1
        return Runs(entries, starts, targets)

    def _target(self, entry: int) -> int:
        kind = entry & _NIBBLE
        if entry == 0:
            return TARGET_ABSENT
        if kind in {_UNMAPPED, _ZERO}:
            return TARGET_ZERO
        if kind != _STORED:
            raise BadImage(f"{self._source.name} has an unknown table entry {entry:#x}")
        number = (entry & 0x0FFF000000000000) >> 48 | (entry & 0x0000FFFFFFFFFFFF) << 12
        target = self._grains_offset + number * GRAIN_SECTORS * SECTOR_BYTES
        if target >= self._source.size:
            raise self.outside(entry)
        return target

    def _require_apart(self, target: int, grains: int) -> None:
        """BadImage for grains on top of the headers or the directory, where qemu shows other bytes than the file."""
        end = target + grains * GRAIN_SECTORS * SECTOR_BYTES
        if target >= 0 and any(target < last and first < end for first, last in self._taken):
            raise BadImage(
                f"a grain of {self._source.name} lies on top of its metadata",
                hint="the file is damaged; copy it again",
            )

    def clone(self) -> "SeSparseLayer":
        return SeSparseLayer(
            self._source.clone(), self._geometry, self._tables_offset, self._grains_offset, self._volatile_offset
        )


def _of_one_kind(index: int, first: int, count: int) -> Iterator[tuple[int, int, int]]:
    """(index, first entry, count) of a run's pieces that share the top nibble, which counting up may change."""
    if first in {0, _UNMAPPED, _ZERO}:
        yield index, first, count
        return
    while count:
        length = min(count, -(-(((first >> 60) + 1 << 60) - first) // _STEP))
        yield index, first, length
        index += length
        first += length * _STEP
        count -= length
