# SPDX-License-Identifier: Apache-2.0
"""What every writer takes from a reader: the blocks that hold data, read ahead where that pays."""

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Final

from v2x.disks.extent import touched_blocks
from v2x.disks.interface import Buffer, DiskReader
from v2x.model.units import MIB

BLOCK_BYTES = 2 * MIB
# Measured over the first blocks of a file in memory: 0.3 to 0.4 where TLS sends them, 0.6 to 0.8 where TCP alone does.
_WORTH_NO_THREAD: Final = 0.5
_FEWEST_JUDGED: Final = 16
_MOST_JUDGED: Final = 64
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


class Balance:
    """Whether a thread that reads ahead is worth it, told from what was read without one.

    A block that one thread reads and another uses crosses from one processor's cache to the other's. Where the source
    is quick and what is done with it takes long (a file in memory that goes into a file, or by TLS to a pool), that
    costs more than reading meanwhile saves.
    """

    def __init__(self) -> None:
        self._reading = self._using = self._judged = 0.0

    def calls_for_thread(self, reading: float, using: float) -> bool:
        """After each block: the seconds of reading it, and those in which it was used."""
        self._reading += reading
        self._using += using
        self._judged += 1
        if self._judged >= _MOST_JUDGED:
            self._reading, self._using, self._judged = self._reading / 2, self._using / 2, self._judged / 2
        return self._judged >= _FEWEST_JUDGED and self._reading > self._using * _WORTH_NO_THREAD


def read_blocks(
    reader: DiskReader,
    numbers: Sequence[int],
    *,
    block_bytes: int = BLOCK_BYTES,
    ahead: int = 2,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Block, None, None]:
    """The blocks `numbers`, in that order; read when they are asked for or, where that takes long, `ahead` by a thread.

    A block's buffer is used again once the next block is asked for. The reader is used by the iterator alone until that
    is exhausted or closed, so close it (contextlib.closing) before the reader. The last block of a disk is short; the
    rest of its buffer is zeros.
    """
    left = iter(numbers)

    def fetch(number: int, buffer: bytearray) -> Block:
        start = number * block_bytes
        length = min(block_bytes, reader.size - start)
        if length == block_bytes:
            reader.read_into(start, buffer)
        else:
            reader.read_into(start, memoryview(buffer)[:length])
            buffer[length:] = bytes(block_bytes - length)
        return Block(number, start, length, buffer)

    balance, buffer = Balance(), bytearray(block_bytes)
    for number in left:
        began = clock()
        block = fetch(number, buffer)
        handed = clock()
        yield block
        if balance.calls_for_thread(handed - began, clock() - handed):
            break
    else:
        return
    waiting: deque[Future[Block]] = deque()
    free = deque([buffer, *(bytearray(block_bytes) for _ in range(ahead))])
    with ThreadPoolExecutor(1, "v2x-read-ahead") as pool:
        try:
            for number in left:
                waiting.append(pool.submit(fetch, number, free.popleft()))
                if len(waiting) > ahead:
                    block = waiting.popleft().result()
                    yield block
                    free.append(block.buffer)
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


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
