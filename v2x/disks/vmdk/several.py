# SPDX-License-Identifier: Apache-2.0
"""A disk split into several extents, one after the other (twoGbMaxExtentSparse, twoGbMaxExtentFlat, mixed ones)."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from v2x.disks.chain import Layer, Part

_OPEN_AT_ONCE: Final = 32


class SeveralExtents:
    """A Layer over extents of the given sizes in bytes. `open_extent` opens the one with that number.

    At most 32 extents are open at a time: a disk of some TiB in files of 2 GB would need more handles than a process
    usually may have.
    """

    def __init__(self, sizes: Sequence[int], open_extent: Callable[[int], Layer], block: int) -> None:
        self._starts = [0]
        for size in sizes:
            self._starts.append(self._starts[-1] + size)
        self._sizes = sizes
        self._open_extent = open_extent
        self._block = block
        self._open: OrderedDict[int, Layer] = OrderedDict()
        self._closed = False

    @property
    def size(self) -> int:
        return self._starts[-1]

    @property
    def block(self) -> int:
        return self._block

    def parts(self, start: int, length: int) -> Iterator[Part]:
        return self._parts(start, length, lambda layer, first, count: layer.parts(first, count))

    def parts_with_holes(self, start: int, length: int) -> Iterator[Part]:
        return self._parts(start, length, lambda layer, first, count: layer.parts_with_holes(first, count))

    def _parts(self, start: int, length: int, ask: Callable[[Layer, int, int], Iterator[Part]]) -> Iterator[Part]:
        end = start + length
        while start < end:
            number = bisect_right(self._starts, start) - 1
            base = self._starts[number]
            limit = min(end, self._starts[number + 1])
            for part in ask(self._layer(number), start - base, limit - start):
                yield Part(part.start + base, part.length, part.kind, part.at)
            start = limit

    def read_part(self, part: Part, view: memoryview) -> None:
        number = bisect_right(self._starts, part.start) - 1
        inner = Part(part.start - self._starts[number], part.length, part.kind, part.at)
        self._layer(number).read_part(inner, view)

    def _layer(self, number: int) -> Layer:
        layer = self._open.get(number)
        if layer is not None:
            self._open.move_to_end(number)
            return layer
        if self._closed:
            raise ValueError("the disk is closed")
        layer = self._open_extent(number)
        self._open[number] = layer
        if len(self._open) > _OPEN_AT_ONCE:
            self._open.popitem(last=False)[1].close()
        return layer

    def clone(self) -> "SeveralExtents":
        return SeveralExtents(self._sizes, self._open_extent, self._block)

    def close(self) -> None:
        self._closed = True
        while self._open:
            self._open.popitem()[1].close()
