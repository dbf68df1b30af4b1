# SPDX-License-Identifier: Apache-2.0
"""Maps of a disk that come from elsewhere than its file, and the doubt that is due to them."""

import random
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Final

from v2x.disks.chain import check_range
from v2x.disks.extent import Extent
from v2x.disks.interface import DiskReader
from v2x.disks.wrap import Wrapper
from v2x.errors import BadImage

SAMPLE_BYTES: Final = 64 << 10
_SAMPLES: Final = 96
_AT_ONCE: Final = 4


class AllocationMap:
    """The areas of a disk of `size` bytes that hold data; all else reads as zeros."""

    def __init__(self, size: int, areas: Iterable[tuple[int, int]]) -> None:
        """`areas` are (start, length) in ascending order. BadImage where they overlap or leave the disk."""
        self.size = size
        self._starts, self._ends = array("q"), array("q")
        for start, length in areas:
            end = start + length
            before = self._ends[-1] if self._ends else 0
            if length < 0 or start < before or end > size:
                raise BadImage(f"a map names {length:,} bytes at {start:,} of a disk of {size:,} bytes out of place")
            if length == 0:
                continue
            if self._ends and start == before:
                self._ends[-1] = end
            else:
                self._starts.append(start)
                self._ends.append(end)

    @property
    def data_bytes(self) -> int:
        return sum(self._ends) - sum(self._starts)

    @property
    def end(self) -> int:
        """Behind the last byte of data; 0 where there is none."""
        return self._ends[-1] if self._ends else 0

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        """Adjoining extents of exactly that range."""
        check_range(start, length, self.size)
        end = start + length
        at = max(0, bisect_right(self._starts, start) - 1)
        while start < end:
            if at < len(self._ends) and self._ends[at] <= start:
                at += 1
                continue
            begin = self._starts[at] if at < len(self._starts) else end
            if start < begin:
                stop = min(begin, end)
                yield Extent(start, stop - start, False)
            else:
                stop = min(self._ends[at], end)
                yield Extent(start, stop - start, True)
            start = stop

    def holes(self) -> list[Extent]:
        return [extent for extent in self.extents(0, self.size) if not extent.data]


class Mapped(Wrapper):
    """The inner disk with the extents of `map`, which must be of its size. What is read stays the disk's own."""

    def __init__(self, inner: DiskReader, map: AllocationMap) -> None:
        super().__init__(inner)
        if map.size != inner.size:
            raise ValueError("the map is of another disk")
        self._map = map

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        return self._map.extents(start, length)

    def clone(self) -> "Mapped":
        return Mapped(self._inner.clone(), self._map)


def samples(map: AllocationMap, seed: str, count: int = _SAMPLES) -> list[Extent]:
    """Places to look at among what `map` calls unused: the disk's ends if they are, and `count` chosen by `seed`.

    The first and last bytes hold partition tables, which hardly any disk is without. The rest is spread evenly over
    the unused bytes, one random place in each of `count` equal shares, so that no large area goes unseen.
    """
    holes = map.holes()
    if not holes:
        return []
    chosen = [
        Extent(hole.start if hole.start == 0 else hole.end - min(hole.length, SAMPLE_BYTES), 0, False)
        for hole in (holes[0], holes[-1])
        if hole.start == 0 or hole.end == map.size
    ]
    rng, unused = random.Random(seed), sum(hole.length for hole in holes)
    share, passed, at = unused / count, 0, 0
    for number in range(count):
        wanted = min(unused - 1, int((number + rng.random()) * share))
        while passed + holes[at].length <= wanted:
            passed += holes[at].length
            at += 1
        chosen.append(Extent(holes[at].start + wanted - passed, 0, False))
    ends = [hole.start for hole in holes]
    return [_within(holes[bisect_right(ends, one.start) - 1], one.start) for one in sorted(set(chosen))]


def _within(hole: Extent, start: int) -> Extent:
    start = max(hole.start, start // 4096 * 4096)
    return Extent(start, min(SAMPLE_BYTES, hole.end - start), False)


def first_contradiction(reader: DiskReader, map: AllocationMap, seed: str) -> Extent | None:
    """A place that `map` calls unused and that holds data, if sampling finds one. Reads on a few clones at once."""
    places = samples(map, seed)
    shares = [places[number::_AT_ONCE] for number in range(min(_AT_ONCE, len(places)))]
    with ThreadPoolExecutor(max(1, len(shares)), "v2x-sample") as pool:
        found = [one for one in pool.map(_first_data, repeat(reader), shares) if one is not None]
    return min(found, default=None)


def _first_data(reader: DiskReader, places: list[Extent]) -> Extent | None:
    own = reader.clone()
    try:
        for place in places:
            buffer = bytearray(place.length)
            own.read_into(place.start, buffer)
            if any(buffer):
                return place
        return None
    finally:
        own.close()
