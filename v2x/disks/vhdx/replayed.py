# SPDX-License-Identifier: Apache-2.0
"""A file with changes laid over it in memory."""

import heapq
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from v2x.disks.chain import fill_zeros
from v2x.disks.extent import Extent
from v2x.disks.interface import Buffer, ByteSource
from v2x.errors import BadImage


class Change(NamedTuple):
    """Bytes `start` up to `end` of a file are `data`, or zeros where that is None."""

    start: int
    end: int
    data: bytes | None


class ReplayedSource:
    """`inner`, which it owns, with `changes` (ascending, apart) over it; `size` bytes, zeros beyond the file's end."""

    def __init__(self, inner: ByteSource, changes: Sequence[Change], size: int) -> None:
        self._inner = inner
        self._changes = changes
        self._ends = [change.end for change in changes]
        self._size = size

    @classmethod
    def applied(cls, inner: ByteSource, changes: Sequence[Change], size: int) -> "ReplayedSource":
        """With `changes` in the order in which they were made, so that the last one counts."""
        return cls(inner, list(_standing(changes)), size)

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def size(self) -> int:
        return self._size

    def read_into(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer).cast("B")
        end = offset + len(view)
        if offset < 0 or end > self._size:
            raise BadImage(
                f"{self.name} ends at byte {self._size:,} where more was expected",
                hint="the file is truncated or still being written; copy it again",
            )
        stored = min(len(view), max(0, self._inner.size - offset))
        if stored:
            self._inner.read_into(offset, view[:stored])
        if stored < len(view):
            fill_zeros(view[stored:])
        for number in range(bisect_right(self._ends, offset), len(self._changes)):
            change = self._changes[number]
            if change.start >= end:
                return
            first, last = max(offset, change.start), min(end, change.end)
            piece = view[first - offset : last - offset]
            if change.data is None:
                fill_zeros(piece)
            else:
                piece[:] = change.data[first - change.start : last - change.start]

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        if length:
            yield Extent(start, length, True)

    def clone(self) -> "ReplayedSource":
        return ReplayedSource(self._inner.clone(), self._changes, self._size)

    def close(self) -> None:
        self._inner.close()


def _standing(changes: Sequence[Change]) -> Iterator[Change]:
    """What remains to be seen of changes that were made one after the other: ascending and apart."""
    bounds = sorted({bound for change in changes for bound in (change.start, change.end)})
    begins = sorted(range(len(changes)), key=lambda number: changes[number].start, reverse=True)
    newest: list[int] = []  # a heap of those that have begun, negated: the last one made comes first
    for start, end in pairwise(bounds):
        while begins and changes[begins[-1]].start <= start:
            heapq.heappush(newest, -begins.pop())
        while newest and changes[-newest[0]].end <= start:
            heapq.heappop(newest)
        if newest:
            change = changes[-newest[0]]
            data = change.data
            yield Change(start, end, None if data is None else data[start - change.start : end - change.start])
