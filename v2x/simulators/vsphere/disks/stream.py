# SPDX-License-Identifier: Apache-2.0
"""streamOptimized VMDK, written as it flows: what an export lease sends.

A header with the descriptor, then markers that each begin on a sector: grains of 64 KiB compressed with deflate, after
each group of 512 the group's table, then the directory, the footer and the end. Grains of zeros are left out.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator

from v2x.simulators.vsphere.disks.layer import SECTOR, is_zero

GRAIN = 64 * 1024
_GRAIN_SECTORS = GRAIN // SECTOR
_TABLE = 512
_FLAGS = 0x30001
_AT_END = 0xFFFFFFFFFFFFFFFF
_OVERHEAD = 128
_DESCRIPTOR_SECTORS = 20
_END, _TABLE_MARK, _DIRECTORY_MARK, _FOOTER_MARK = 0, 1, 2, 3


def _header(capacity: int, directory: int) -> bytes:
    packed = struct.pack(
        "<4sIIQQQQIQQQB4sH",
        b"KDMV",
        3,
        _FLAGS,
        capacity,
        _GRAIN_SECTORS,
        1,
        _DESCRIPTOR_SECTORS,
        _TABLE,
        0,
        directory,
        _OVERHEAD,
        0,
        b"\n \r\n",
        1,
    )
    return packed.ljust(SECTOR, b"\0")


def _descriptor(capacity: int, name: str) -> bytes:
    text = (
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
        f'createType="streamOptimized"\n\n# Extent description\nRDONLY {capacity} SPARSE "{name}"\n\n'
        "# The Disk Data Base\n#DDB\n\n"
        f'ddb.adapterType = "lsilogic"\nddb.geometry.cylinders = "{max(1, capacity // (255 * 63))}"\n'
        'ddb.geometry.heads = "255"\nddb.geometry.sectors = "63"\nddb.virtualHWVersion = "4"\n'
    )
    return text.encode().ljust(_DESCRIPTOR_SECTORS * SECTOR, b"\0")


def _mark(sectors: int, kind: int) -> bytes:
    return struct.pack("<QII", sectors, 0, kind).ljust(SECTOR, b"\0")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % SECTOR)


class _Writer:
    """Counts the sectors that went out, and remembers where grains and tables begin."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.at = 0
        self.tables = [0] * -(-capacity // (_GRAIN_SECTORS * _TABLE))
        self._group = -1
        self._entries: list[int] = []

    def out(self, data: bytes) -> bytes:
        self.at += len(data) // SECTOR
        return data

    def grain(self, number: int, data: bytes) -> Iterator[bytes]:
        group, entry = divmod(number, _TABLE)
        if group != self._group:
            yield from self.table()
            self._group, self._entries = group, [0] * _TABLE
        packed = zlib.compress(data.ljust(GRAIN, b"\0"), 1)
        self._entries[entry] = self.at
        yield self.out(_padded(struct.pack("<QI", number * _GRAIN_SECTORS, len(packed)) + packed))

    def table(self) -> Iterator[bytes]:
        if self._group >= 0:
            yield self.out(_mark(_TABLE * 4 // SECTOR, _TABLE_MARK))
            self.tables[self._group] = self.at
            yield self.out(struct.pack(f"<{_TABLE}I", *self._entries))

    def end(self) -> Iterator[bytes]:
        yield from self.table()
        packed = _padded(struct.pack(f"<{len(self.tables)}I", *self.tables))
        yield self.out(_mark(len(packed) // SECTOR, _DIRECTORY_MARK))
        directory = self.at
        yield self.out(packed)
        yield self.out(_mark(1, _FOOTER_MARK))
        yield self.out(_header(self.capacity, directory))
        yield self.out(bytes(SECTOR))


def stream_optimized(size_bytes: int, pieces: Iterable[tuple[int, bytes]], name: str) -> Iterator[bytes]:
    """The whole file; `pieces` are (offset, bytes), ascending, cut at grains: where nothing is given are zeros."""
    writer = _Writer(size_bytes // SECTOR)
    head = _header(writer.capacity, _AT_END) + _descriptor(writer.capacity, name)
    yield writer.out(head.ljust(_OVERHEAD * SECTOR, b"\0"))
    for offset, data in pieces:
        for at in range(0, len(data), GRAIN):
            block = data[at : at + GRAIN]
            if not is_zero(block):
                yield from writer.grain((offset + at) // GRAIN, block)
    yield from writer.end()
