# SPDX-License-Identifier: Apache-2.0
"""Hosted sparse extents ("KDMV") without compression: monolithicSparse and twoGbMaxExtentSparse."""

from array import array

from v2x.disks.grains import TARGET_ABSENT, TARGET_ZERO, Geometry, GrainLayer, Runs
from v2x.disks.interface import ByteSource
from v2x.disks.runs import stepping_runs
from v2x.disks.vmdk.descriptor import SECTOR_BYTES
from v2x.disks.vmdk.header import SparseHeader
from v2x.errors import BadImage


def sparse_geometry(header: SparseHeader, size_bytes: int) -> Geometry:
    """The two levels of a hosted sparse extent of which the disk uses the first `size_bytes`."""
    return Geometry(
        size_bytes=size_bytes,
        grain_bytes=header.grain_bytes,
        table_entries=header.table_entries,
        entry_bytes=4,
        directory_offset=header.directory_offset,
        directory_entries=header.directory_entries,
    )


def sector_runs(
    entries: "array[int]", source: ByteSource, *, grain_sectors: int, zero_grains: bool
) -> tuple["array[int]", "array[int]"]:
    """(starts, targets) of a table whose entries are sector numbers; BadImage if one lies outside the file."""
    starts, targets = array("I"), array("q")
    special = {0: 0, 1: 0} if zero_grains else {0: 0}
    for index, _ in stepping_runs(entries, special, grain_sectors):
        value = entries[index]
        if value == 0:
            target = TARGET_ABSENT
        elif value == 1 and zero_grains:
            target = TARGET_ZERO
        else:
            target = value * SECTOR_BYTES
            if target >= source.size:
                raise BadImage(
                    f"a grain of {source.name} lies outside the file (sector {value:,})",
                    hint="the file is truncated or damaged; copy it again",
                )
        starts.append(index)
        targets.append(target)
    return starts, targets


class SparseLayer(GrainLayer):
    """A Layer over one hosted sparse extent whose grains are stored as they are."""

    def __init__(self, source: ByteSource, header: SparseHeader, size_bytes: int) -> None:
        super().__init__(source, sparse_geometry(header, size_bytes))
        self._header = header
        self._grain_sectors = header.grain_bytes // SECTOR_BYTES

    def table_offset(self, entry: int) -> int:
        return entry * SECTOR_BYTES

    def decode(self, entries: "array[int]") -> Runs:
        starts, targets = sector_runs(
            entries, self._source, grain_sectors=self._grain_sectors, zero_grains=self._header.zero_grains
        )
        return Runs(entries, starts, targets)

    def stored_limit(self) -> int:
        return max(0, self._source.size - self._header.overhead_bytes)

    def clone(self) -> "SparseLayer":
        return SparseLayer(self._source.clone(), self._header, self._geometry.size_bytes)
