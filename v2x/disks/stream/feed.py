# SPDX-License-Identifier: Apache-2.0
"""What every writer takes from a reader: the blocks that hold data, read ahead while the last one is written."""

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import IO, Final

from v2x.disks.extent import touched_blocks
from v2x.disks.interface import Buffer, DiskReader
from v2x.model.units import MIB

BLOCK_BYTES = 2 * MIB
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Block:
    """Block `number` of a disk: its first byte, and `length` bytes at the front of `buffer`, zeros behind them."""

    number: int
    start: int
    length: int
    buffer: bytearray

    def data(self, begin: int = 0, end: int | None = None) -> memoryview:
        return memoryview(self.buffer)[begin : self.length if end is None else end]


def data_blocks(reader: DiskReader, block_bytes: int = BLOCK_BYTES) -> Sequence[int]:
    """The numbers of the blocks that hold data, as far as the source's map knows, ascending."""
    return touched_blocks(reader.extents(0, reader.size), block_bytes)


def read_blocks(
    reader: DiskReader,
    numbers: Sequence[int],
    *,
    block_bytes: int = BLOCK_BYTES,
    ahead: int = 2,
    spare: "SimpleQueue[bytearray] | None" = None,
) -> Generator[Block, None, None]:
    """The blocks `numbers`, read in that order by one thread, `ahead` of the consumer.

    A block's buffer is used again once the next block is asked for. With `spare`, which holds more than `ahead` buffers
    of `block_bytes`, it is the consumer's until he puts it back there. The reader is used by this thread alone until
    the iterator is exhausted or closed, so close it (contextlib.closing) before the reader. The last block of a disk
    is short; the rest of its buffer is zeros.
    """
    waiting: deque[Future[Block]] = deque()
    lent = spare if spare is not None else buffers(ahead + 1, block_bytes)

    def fetch(number: int, buffer: bytearray) -> Block:
        start = number * block_bytes
        length = min(block_bytes, reader.size - start)
        if length == block_bytes:
            reader.read_into(start, buffer)
        else:
            reader.read_into(start, memoryview(buffer)[:length])
            buffer[length:] = bytes(block_bytes - length)
        return Block(number, start, length, buffer)

    with ThreadPoolExecutor(1, "v2x-read-ahead") as pool:
        try:
            for number in numbers:
                waiting.append(pool.submit(fetch, number, lent.get()))
                if len(waiting) > ahead:
                    block = waiting.popleft().result()
                    yield block
                    if spare is None:
                        lent.put(block.buffer)
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def buffers(count: int, block_bytes: int = BLOCK_BYTES) -> "SimpleQueue[bytearray]":
    made: SimpleQueue[bytearray] = SimpleQueue()
    for _ in range(count):
        made.put(bytearray(block_bytes))
    return made


class WriteBehind:
    """Writes to places of a file by two threads, so that the next blocks are read meanwhile; keeps no order.

    To be used in a with statement, whose end waits for all that was asked for. An OSError is raised there, or by the
    next write.
    """

    THREADS: Final = 2

    def __init__(self, out: IO[bytes], done: "SimpleQueue[bytearray]") -> None:
        """`done` gets each buffer once it was written."""
        self._fd, self._done = out.fileno(), done
        self._pool = ThreadPoolExecutor(self.THREADS, "v2x-write-behind")
        self._asked: deque[Future[None]] = deque()

    def write(self, at: int, head: bytes, buffer: bytearray) -> None:
        """`head`, then the whole of `buffer`, from byte `at` on."""
        self._asked.append(self._pool.submit(self._written, at, head, buffer))
        while self._asked and self._asked[0].done():
            self._asked.popleft().result()

    def _written(self, at: int, head: bytes, buffer: bytearray) -> None:
        try:
            pieces = [memoryview(head), memoryview(buffer)]
            while pieces:
                count = os.pwritev(self._fd, pieces, at)
                at += count
                while pieces and count >= len(pieces[0]):
                    count -= len(pieces.pop(0))
                if pieces:
                    pieces[0] = pieces[0][count:]
        finally:
            self._done.put(buffer)

    def __enter__(self) -> "WriteBehind":
        return self

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=problem is not None)
        if problem is None:
            for one in self._asked:
                one.result()


class ZeroTest:
    """Tells quickly whether parts of a buffer are all zeros: memcmp against zeros, which ends at the first data."""

    def __init__(self, limit: int = BLOCK_BYTES) -> None:
        self._zeros = memoryview(bytes(limit))

    def is_zero(self, buffer: bytearray, begin: int, end: int) -> bool:
        return buffer.startswith(self._zeros[: end - begin], begin)

    def data_runs(self, block: Block, step: int) -> list[tuple[int, int]]:
        """The parts of a block that hold data, as (begin, end), in whole steps of `step` bytes, neighbours joined."""
        if self.is_zero(block.buffer, 0, block.length):
            return []
        runs: list[tuple[int, int]] = []
        for begin in range(0, block.length, step):
            end = min(begin + step, block.length)
            if self.is_zero(block.buffer, begin, end):
                continue
            if runs and runs[-1][1] == begin:
                runs[-1] = (runs[-1][0], end)
            else:
                runs.append((begin, end))
        return runs


class Position:
    """Turns 'now at byte N of the disk' into the increments that a progress display takes; they add up to the size."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._at = 0

    def reached(self, offset: int) -> None:
        if self._progress is not None and offset > self._at:
            self._progress(offset - self._at)
            self._at = offset


def write_all(out: IO[bytes], data: Buffer | bytes) -> None:
    """Writes the whole of `data`; an unbuffered file may take less at a time."""
    view = memoryview(data)
    while view:
        count = out.write(view)
        view = view[count:] if count is not None else view
