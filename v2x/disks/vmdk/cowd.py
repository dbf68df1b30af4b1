# SPDX-License-Identifier: Apache-2.0
"""Deltas of ESX ("COWD", vmfsSparse): grains of any size, usually one sector; tables of 4096 entries."""

import struct
from array import array
from typing import Final

from v2x.disks.chain import MAX_DISK_BYTES
from v2x.disks.grains import Geometry, GrainLayer, Runs
from v2x.disks.interface import ByteSource
from v2x.disks.vmdk.descriptor import SECTOR_BYTES
from v2x.disks.vmdk.header import read_bytes
from v2x.disks.vmdk.sparse import sector_runs
from v2x.errors import BadImage, Unsupported

MAGIC: Final = b"COWD"
TABLE_ENTRIES: Final = 4096
_HEADER = struct.Struct("<4s7I")


class CowdLayer(GrainLayer):
    """A Layer over one COWD extent; grains that the delta does not hold are the parent's."""

    def __init__(self, source: ByteSource, geometry: Geometry) -> None:
        super().__init__(source, geometry)
        self._grain_sectors = geometry.grain_bytes // SECTOR_BYTES

    @classmethod
    def open(cls, source: ByteSource, size_bytes: int) -> "CowdLayer":
        """Checks the header; BadImage if it does not cover exactly `size_bytes`. Takes `source` over on success."""
        name = source.name
        magic, version, flags, capacity, grain, directory, entries, _ = _HEADER.unpack(
            read_bytes(source, 0, _HEADER.size)
        )
        if magic != MAGIC:
            raise BadImage(f"{name} has no COWD header", hint="the file is damaged; copy it again")
        if version != 1:
            raise Unsupported(f"{name} is a COWD extent of the unknown version {version}")
        if flags & ~3:
            raise Unsupported(f"{name} uses unknown COWD features (flags {flags:#x})")
        if not 1 <= grain <= 4096 or grain & (grain - 1):
            raise BadImage(f"{name} has an impossible grain size of {grain:,} sectors")
        if capacity * SECTOR_BYTES > MAX_DISK_BYTES or not 0 <= capacity * SECTOR_BYTES - size_bytes < grain * 512:
            raise BadImage(
                f"{name} holds {capacity * SECTOR_BYTES:,} bytes where its descriptor says {size_bytes:,}",
                hint="copy descriptor and extent again from one point in time",
            )
        needed = -(-capacity // (grain * TABLE_ENTRIES))
        if entries < needed or directory * SECTOR_BYTES + needed * 4 > source.size or (needed and not directory):
            raise BadImage(
                f"the grain directory of {name} is too small or lies outside the file",
                hint="the file is truncated or damaged; copy it again",
            )
        return cls(
            source,
            Geometry(
                size_bytes=size_bytes,
                grain_bytes=grain * SECTOR_BYTES,
                table_entries=TABLE_ENTRIES,
                entry_bytes=4,
                directory_offset=directory * SECTOR_BYTES,
                directory_entries=needed,
            ),
        )

    def table_offset(self, entry: int) -> int:
        return entry * SECTOR_BYTES

    def decode(self, entries: "array[int]") -> Runs:
        starts, targets = sector_runs(entries, self._source, grain_sectors=self._grain_sectors, zero_grains=False)
        return Runs(entries, starts, targets)

    def clone(self) -> "CowdLayer":
        return CowdLayer(self._source.clone(), self._geometry)
