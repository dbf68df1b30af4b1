# SPDX-License-Identifier: Apache-2.0
"""Raw disks: the file's bytes are the disk's bytes."""

from collections.abc import Iterator

from v2x.disks.chain import check_range, fill_zeros
from v2x.disks.extent import Extent, joined
from v2x.disks.interface import Buffer, ByteSource

SECTOR_BYTES = 512


class RawReader:
    """A DiskReader over `source`, which it owns.

    A file that ends inside a sector is read as if zeros filled the sector, as qemu reads it: `size` is the file's
    length rounded up to 512 bytes. Holes of the file are zero extents.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._stored = source.size
        self._size = -(-source.size // SECTOR_BYTES) * SECTOR_BYTES

    @property
    def size(self) -> int:
        return self._size

    @property
    def block(self) -> int:
        return 4096

    def read_into(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer).cast("B")
        check_range(offset, len(view), self._size)
        stored = min(len(view), max(0, self._stored - offset))
        if stored:
            self._source.read_into(offset, view[:stored])
        if stored < len(view):
            fill_zeros(view[stored:])

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        check_range(start, length, self._size)
        return joined(self._extents(start, length))

    def _extents(self, start: int, length: int) -> Iterator[Extent]:
        stored = min(length, max(0, self._stored - start))
        if stored:
            yield from self._source.extents(start, stored)
        if stored < length:
            yield Extent(start + stored, length - stored, False)

    def clone(self) -> "RawReader":
        return RawReader(self._source.clone())

    def close(self) -> None:
        self._source.close()
