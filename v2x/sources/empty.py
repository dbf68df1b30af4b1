# SPDX-License-Identifier: Apache-2.0
"""A disk that its descriptor gives a size but no content: all zeros."""

from collections.abc import Iterator

from v2x.disks.extent import Extent
from v2x.disks.interface import Buffer

_ZEROS = bytes(1 << 20)


class EmptyDisk:
    """A DiskReader of `size` zero bytes."""

    def __init__(self, size: int) -> None:
        self._size = size

    @property
    def size(self) -> int:
        return self._size

    @property
    def block(self) -> int:
        return 4096

    def read_into(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer).cast("B")
        self._check(offset, len(view))
        for start in range(0, len(view), len(_ZEROS)):
            part = view[start : start + len(_ZEROS)]
            part[:] = _ZEROS[: len(part)]

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        self._check(start, length)
        return iter([Extent(start, length, False)] if length else [])

    def clone(self) -> "EmptyDisk":
        return EmptyDisk(self._size)

    def close(self) -> None:
        """Holds nothing open."""

    def _check(self, start: int, length: int) -> None:
        if start < 0 or start + length > self._size:
            raise ValueError(f"bytes {start:,} to {start + length:,} lie outside a disk of {self._size:,} bytes")
