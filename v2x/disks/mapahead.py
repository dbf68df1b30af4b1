# SPDX-License-Identifier: Apache-2.0
"""Asks for a disk's map in pieces at once: tables that lie far away are read by several threads."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

from v2x.disks.allocation import AllocationMap
from v2x.disks.chain import check_range
from v2x.disks.extent import Extent, joined
from v2x.disks.interface import DiskReader
from v2x.disks.wrap import Wrapper
from v2x.model.units import MIB

_MOST_AREAS = 1_000_000


class MapAhead(Wrapper):
    """The inner disk, whose extents are found by `workers` clones, `piece_bytes` of the disk each.

    Sparse deltas over a network need a round trip for every 2 MiB of their tables; one after the other that is hours
    for a large one. The extents come in order all the same, and at most two pieces per worker are held. Once the map
    of the whole disk was asked for it is remembered, also by clones, unless it has more than a million areas.
    """

    def __init__(
        self,
        inner: DiskReader,
        *,
        workers: int = 8,
        piece_bytes: int = 256 * MIB,
        known: list[AllocationMap] | None = None,
    ) -> None:
        super().__init__(inner)
        self._workers, self._piece_bytes = workers, piece_bytes
        self._known: list[AllocationMap] = [] if known is None else known

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        check_range(start, length, self.size)
        if self._known:
            return self._known[0].extents(start, length)
        if length == self.size:
            return self._noted()
        return self._found(start, length)

    def _found(self, start: int, length: int) -> Iterator[Extent]:
        if length <= self._piece_bytes:
            return self._inner.extents(start, length)
        return joined(self._ahead(start, start + length))

    def _noted(self) -> Iterator[Extent]:
        areas: list[tuple[int, int]] = []
        for extent in self._found(0, self.size):
            if extent.data and len(areas) <= _MOST_AREAS:
                areas.append((extent.start, extent.length))
            yield extent
        if len(areas) <= _MOST_AREAS:
            self._known.append(AllocationMap(self.size, areas))

    def _ahead(self, start: int, end: int) -> Iterator[Extent]:
        readers: SimpleQueue[DiskReader] = SimpleQueue()
        waiting: deque[Future[list[Extent]]] = deque()

        def ask(begin: int) -> list[Extent]:
            reader = readers.get()
            try:
                return list(reader.extents(begin, min(self._piece_bytes, end - begin)))
            finally:
                readers.put(reader)

        try:
            with ThreadPoolExecutor(self._workers, "v2x-map") as pool:
                for _ in range(self._workers):
                    readers.put(self._inner.clone())
                try:
                    for begin in range(start, end, self._piece_bytes):
                        waiting.append(pool.submit(ask, begin))
                        if len(waiting) >= 2 * self._workers:
                            yield from waiting.popleft().result()
                    while waiting:
                        yield from waiting.popleft().result()
                finally:
                    for future in waiting:
                        future.cancel()
        finally:
            while not readers.empty():
                readers.get().close()

    def clone(self) -> "MapAhead":
        return MapAhead(self._inner.clone(), workers=self._workers, piece_bytes=self._piece_bytes, known=self._known)
