# SPDX-License-Identifier: Apache-2.0
"""Extents: which parts of a disk hold data. All numbers are bytes of the disk as the guest sees it."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple


class Extent(NamedTuple):
    """`length` bytes from `start`; `data` is False where the disk surely reads as zeros."""

    start: int
    length: int
    data: bool

    @property
    def end(self) -> int:
        return self.start + self.length


def joined(extents: Iterable[Extent]) -> Iterator[Extent]:
    """Neighbours of one kind merged; empty ones dropped."""
    last: Extent | None = None
    for extent in extents:
        if extent.length == 0:
            continue
        if last is not None and last.data == extent.data and last.end == extent.start:
            last = Extent(last.start, last.length + extent.length, last.data)
        else:
            if last is not None:
                yield last
            last = extent
    if last is not None:
        yield last


def touched_blocks(extents: Iterable[Extent], block_bytes: int) -> Sequence[int]:
    """The numbers of blocks that hold any data, ascending, each once and below 2^32; 4 bytes of memory for each."""
    blocks = array("I")
    following = 0
    for extent in extents:
        if not extent.data or extent.length == 0:
            continue
        first = max(extent.start // block_bytes, following)
        following = max(following, (extent.end - 1) // block_bytes + 1)
        blocks.extend(range(first, following))
    return blocks
