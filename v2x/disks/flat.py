# SPDX-License-Identifier: Apache-2.0
"""Extents without tables: flat files (FLAT, VMFS) and zeros (ZERO)."""

from collections.abc import Iterator

from v2x.disks.chain import DATA, ZERO, Part, fill_zeros, part_with_holes
from v2x.disks.interface import ByteSource
from v2x.errors import BadImage


class FlatLayer:
    """`size_bytes` of `source`, which it owns, from byte `offset`. Holes of the file are zeros."""

    experimental = False

    def __init__(self, source: ByteSource, offset: int, size_bytes: int) -> None:
        if offset + size_bytes > source.size:
            raise BadImage(
                f"{source.name} holds {source.size:,} bytes where its description needs {offset + size_bytes:,}",
                hint="the file is truncated or still being written; copy it again",
            )
        self._source = source
        self._offset = offset
        self._size = size_bytes

    @property
    def size(self) -> int:
        return self._size

    @property
    def block(self) -> int:
        return 4096

    def parts(self, start: int, length: int) -> Iterator[Part]:
        if length:
            yield Part(start, length, DATA, self._offset + start)

    def parts_with_holes(self, start: int, length: int) -> Iterator[Part]:
        return part_with_holes(self._source, Part(start, length, DATA, self._offset + start))

    def read_part(self, part: Part, view: memoryview) -> None:
        self._source.read_into(part.at, view)

    def clone(self) -> "FlatLayer":
        return FlatLayer(self._source.clone(), self._offset, self._size)

    def close(self) -> None:
        self._source.close()


class ZeroLayer:
    """`size_bytes` of zeros."""

    experimental = False

    def __init__(self, size_bytes: int) -> None:
        self._size = size_bytes

    @property
    def size(self) -> int:
        return self._size

    @property
    def block(self) -> int:
        return 4096

    def parts(self, start: int, length: int) -> Iterator[Part]:
        if length:
            yield Part(start, length, ZERO, 0)

    def parts_with_holes(self, start: int, length: int) -> Iterator[Part]:
        return self.parts(start, length)

    def read_part(self, part: Part, view: memoryview) -> None:
        fill_zeros(view[: part.length])

    def clone(self) -> "ZeroLayer":
        return ZeroLayer(self._size)

    def close(self) -> None:
        return None
