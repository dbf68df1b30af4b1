# SPDX-License-Identifier: Apache-2.0
"""Reading ahead: blocks that hold data are fetched by worker threads before they are asked for."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Final

from v2x.disks.chain import check_range
from v2x.disks.extent import Extent
from v2x.disks.interface import Buffer, DiskReader
from v2x.errors import V2xError

_FEWEST: Final = 2
_BYTES_PER_SECOND: Final = 400e6
_REMEMBERED: Final = 32


class ReadAhead:
    """A DiskReader over `inner`, which it takes over, that fetches blocks ahead on clones of it.

    For sources that answer slowly: while one block is sent on, the next ones are on their way. Only blocks that hold
    data are fetched, in ascending order from the last read on; a read elsewhere starts anew from there. An error is
    raised by the read that needs the block.

    With `workers`, up to `depth` blocks are fetched by so many clones. Without, there are as many of both as the time
    of one block asks for at 400 MB/s, told from the quickest of late, and at most `most`: two from a neighbour, eight
    from far away. At most `depth` + `workers` blocks of `block_bytes` are held, or twice `most`.
    """

    def __init__(
        self,
        inner: DiskReader,
        *,
        depth: int = 4,
        workers: int | None = None,
        most: int = 8,
        block_bytes: int = 2 << 20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if depth < 1 or (workers is not None and workers < 1) or most < _FEWEST:
            raise ValueError("depth and workers are at least 1")
        self._inner = inner
        self._depth = depth
        self._workers = workers
        self._most = most
        self._block_bytes = block_bytes
        self._clock = clock
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)
        self._ahead: OrderedDict[int, Future[bytearray]] = OrderedDict()
        self._upcoming: Iterator[int] = iter(())
        self._position = -1
        self._frontier = -1
        self._pool: ThreadPoolExecutor | None = None
        self._readers: SimpleQueue[DiskReader] = SimpleQueue()
        self._clones = 0
        self._lock = threading.Lock()
        self._spare: list[bytearray] = []
        self._closed = False

    def _wanted(self) -> tuple[int, int]:
        """Blocks to hold ahead, and clones to fetch them."""
        if self._workers is not None:
            return self._depth, self._workers
        quickest = min(self._seconds, default=0.0)
        count = max(_FEWEST, min(self._most, 1 + int(quickest * _BYTES_PER_SECOND / self._block_bytes)))
        return count, count

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
            self._let_go(self._ahead.popitem(last=False)[1])

    def _let_go(self, future: "Future[bytearray]") -> None:
        """Keeps the memory of a block that was read, for another one."""
        if not future.cancel() and future.done() and future.exception() is None:
            buffer = future.result()
            if len(buffer) == self._block_bytes:
                self._spare.append(buffer)

    def _data_blocks(self, start: int) -> Iterator[int]:
        following = 0
        for extent in self._inner.extents(start, self.size - start):
            if extent.data:
                first = max(following, extent.start // self._block_bytes)
                following = max(following, (extent.end - 1) // self._block_bytes + 1)
                yield from range(first, following)

    def _fetch_ahead(self) -> None:
        depth, workers = self._wanted()
        while len(self._ahead) < depth:
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
                most = self._workers if self._workers is not None else self._most
                self._pool = ThreadPoolExecutor(most, thread_name_prefix="read-ahead")
            self._ahead[number] = self._pool.submit(copy_context().run, self._fetch, number, workers)

    def _fetch(self, number: int, workers: int) -> bytearray:
        begin = number * self._block_bytes
        buffer = self._memory(min(self._block_bytes, self.size - begin))
        reader = self._reader(workers)
        try:
            began = self._clock()
            reader.read_into(begin, buffer)
            self._seconds.append(self._clock() - began)
        finally:
            self._readers.put(reader)
        return buffer

    def _reader(self, workers: int) -> DiskReader:
        """One that nobody uses. Another is made by the worker that needs it, for far away each takes round trips."""
        with suppress(Empty):
            return self._readers.get_nowait()
        with self._lock:
            more = self._clones < workers
            self._clones += more
        if not more:
            return self._readers.get()
        try:
            return self._inner.clone()
        except BaseException:
            with self._lock:
                self._clones -= 1
            raise

    def _memory(self, length: int) -> bytearray:
        if length == self._block_bytes:
            with suppress(IndexError):  # nothing to spare, or another worker took it
                return self._spare.pop()
        return bytearray(length)

    def _drop(self) -> None:
        for future in self._ahead.values():
            future.cancel()
        self._ahead.clear()
        self._upcoming = iter(())

    def clone(self) -> "ReadAhead":
        return ReadAhead(
            self._inner.clone(),
            depth=self._depth,
            workers=self._workers,
            most=self._most,
            block_bytes=self._block_bytes,
            clock=self._clock,
        )

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._drop()
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            for _ in range(self._clones):
                self._readers.get().close()
        self._inner.close()
