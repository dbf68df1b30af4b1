# SPDX-License-Identifier: Apache-2.0
"""Reading ahead: blocks that hold data are fetched by worker threads before they are asked for."""

from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

from v2x.disks.chain import check_range
from v2x.disks.extent import Extent
from v2x.disks.interface import Buffer, DiskReader
from v2x.errors import V2xError


class ReadAhead:
    """A DiskReader over `inner`, which it takes over, that fetches up to `depth` blocks ahead on `workers` clones.

    For sources that answer slowly: while one block is sent on, the next ones are on their way. Only blocks that hold
    data are fetched, in ascending order from the last read on; a read elsewhere starts anew from there. At most
    `depth` + `workers` blocks of `block_bytes` are held. An error is raised by the read that needs the block.
    """

    def __init__(self, inner: DiskReader, *, depth: int = 4, workers: int = 2, block_bytes: int = 2 << 20) -> None:
        if depth < 1 or workers < 1:
            raise ValueError("depth and workers are at least 1")
        self._inner = inner
        self._depth = depth
        self._workers = workers
        self._block_bytes = block_bytes
        self._ahead: OrderedDict[int, Future[bytearray]] = OrderedDict()
        self._upcoming: Iterator[int] = iter(())
        self._position = -1
        self._frontier = -1
        self._pool: ThreadPoolExecutor | None = None
        self._readers: SimpleQueue[DiskReader] = SimpleQueue()
        self._closed = False

    @property
    def size(self) -> int:
        return self._inner.size

    @property
    def block(self) -> int:
        return self._inner.block

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        return self._inner.extents(start, length)

    def read_into(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer).cast("B")
        check_range(offset, len(view), self.size)
        end = offset + len(view)
        while offset < end:
            number = offset // self._block_bytes
            begin = number * self._block_bytes
            stop = min(end, begin + self._block_bytes)
            piece = view[len(view) - (end - offset) :][: stop - offset]
            self._move_to(number)
            self._fetch_ahead()
            if number in self._ahead:
                piece[:] = self._fetched(number)[offset - begin : stop - begin]
            else:
                self._inner.read_into(offset, piece)
            offset = stop

    def _fetched(self, number: int) -> memoryview:
        try:
            return memoryview(self._ahead[number].result())
        except V2xError:
            # The next read of this block asks the source itself, so that it can be tried again.
            del self._ahead[number]
            raise

    def _move_to(self, number: int) -> None:
        """Plans anew after a step back or a jump beyond what is planned; lets go of the blocks that were passed."""
        back = number < self._position and number not in self._ahead
        if back or number > self._frontier:
            self._drop()
            self._upcoming = self._data_blocks(number * self._block_bytes)
            self._frontier = number
        self._position = number
        while self._ahead and next(iter(self._ahead)) < number:
            self._ahead.popitem(last=False)[1].cancel()

    def _data_blocks(self, start: int) -> Iterator[int]:
        following = 0
        for extent in self._inner.extents(start, self.size - start):
            if extent.data:
                first = max(following, extent.start // self._block_bytes)
                following = max(following, (extent.end - 1) // self._block_bytes + 1)
                yield from range(first, following)

    def _fetch_ahead(self) -> None:
        while len(self._ahead) < self._depth:
            try:
                number = next(self._upcoming, None)
            except V2xError:
                # Damage further on is the business of whoever reads there.
                number = None
            if number is None:
                self._frontier = self.size // self._block_bytes
                return
            self._frontier = number
            if self._closed:
                raise ValueError("the reader is closed")
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="read-ahead")
                for _ in range(self._workers):
                    self._readers.put(self._inner.clone())
            self._ahead[number] = self._pool.submit(self._fetch, number)

    def _fetch(self, number: int) -> bytearray:
        begin = number * self._block_bytes
        buffer = bytearray(min(self._block_bytes, self.size - begin))
        reader = self._readers.get()
        try:
            reader.read_into(begin, buffer)
        finally:
            self._readers.put(reader)
        return buffer

    def _drop(self) -> None:
        for future in self._ahead.values():
            future.cancel()
        self._ahead.clear()
        self._upcoming = iter(())

    def clone(self) -> "ReadAhead":
        return ReadAhead(self._inner.clone(), depth=self._depth, workers=self._workers, block_bytes=self._block_bytes)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._drop()
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            for _ in range(self._workers):
                self._readers.get().close()
        self._inner.close()
