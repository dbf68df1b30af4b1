# SPDX-License-Identifier: Apache-2.0
"""Hands over the blocks of a disk with their digests: read ahead by threads, or where they are used if that pays."""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from itertools import cycle, islice
from queue import Empty, Full, Queue
from typing import Final, NamedTuple

from v2x.disks.interface import DiskReader, SeveralAtOnce
from v2x.disks.stream.feed import Balance

_POLL_SECONDS = 0.2
_TRIAL_BLOCKS: Final = 128
_WARM_UP_BLOCKS: Final = 16


class Block(NamedTuple):
    """`data` is valid until the next block is asked for; `digest` is of exactly these bytes, empty if not wanted."""

    number: int
    data: memoryview
    digest: bytes


class _End(NamedTuple):
    problem: BaseException | None


@contextmanager
def pumped(
    reader: DiskReader,
    numbers: Iterable[int],
    block_bytes: int,
    *,
    digest: Callable[[memoryview], bytes] | None = None,
    depth: int = 4,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Iterator[Block]]:
    """Iterates over the blocks `numbers` of `reader`, at most `depth` of them in memory.

    The last block of the disk is short where the size is no multiple of `block_bytes`. An error of the reader is
    raised at the block it belongs to. Leaving the context stops the threads; the reader stays open.

    The first blocks are read when they are asked for, the next ones ahead by a thread, and from then on whichever was
    quicker is done; a thread also as soon as reading takes more than half of the time that the consumer spends. As many
    as a SeveralAtOnce asks for read ahead from the start and take turns: each has its own queue, and the blocks come in
    order.
    """
    at_once = reader.at_once if isinstance(reader, SeveralAtOnce) else 1
    stop = threading.Event()
    readers = [reader]
    lanes: list[_Lane] = []

    def started(own: DiskReader, share: Iterable[int]) -> _Lane:
        lanes.append(_Lane(own, share, block_bytes, digest, max(2, depth // at_once), stop))
        return lanes[-1]

    def tried() -> Iterator[Block]:
        left, here = iter(numbers), _Here(reader, block_bytes, digest, clock)
        first = yield from _clocked(here.blocks(islice(left, _TRIAL_BLOCKS)), clock)
        if not here.slow:
            if first.blocks < _TRIAL_BLOCKS:
                return
            ahead = yield from _clocked(_in_turn([started(reader, islice(left, _TRIAL_BLOCKS))]), clock)
            lanes.pop().thread.join()  # its buffers go with it
            if first.each < ahead.each:
                yield from here.blocks(left)
                if not here.slow:
                    return
        yield from _in_turn([started(reader, left)])

    try:
        if at_once == 1:
            yield tried()
        else:
            for _ in range(1, at_once):
                readers.append(reader.clone())
            held = numbers if isinstance(numbers, Sequence) else list(numbers)
            yield _in_turn([started(own, islice(held, turn, None, at_once)) for turn, own in enumerate(readers)])
    finally:
        stop.set()
        for lane in lanes:
            lane.thread.join()
        for own in readers[1:]:
            own.close()


class _Pace(NamedTuple):
    """So many blocks, and the seconds that each of them took, those after the first few."""

    blocks: int
    each: float


def _clocked(blocks: Iterator[Block], clock: Callable[[], float]) -> Generator[Block, None, _Pace]:
    count, begun = 0, clock()
    for block in blocks:
        yield block
        count += 1
        if count == _WARM_UP_BLOCKS:
            begun = clock()
    return _Pace(count, (clock() - begun) / max(1, count - _WARM_UP_BLOCKS))


class _Here:
    """Blocks read by the thread that asks for them; `slow` once a thread of its own is called for, which ends them."""

    def __init__(
        self,
        reader: DiskReader,
        block_bytes: int,
        digest: Callable[[memoryview], bytes] | None,
        clock: Callable[[], float],
    ) -> None:
        self.slow = False
        self._reader, self._block_bytes, self._digest, self._clock = reader, block_bytes, digest, clock

    def blocks(self, numbers: Iterator[int]) -> Iterator[Block]:
        clock, balance = self._clock, Balance()
        buffer = bytearray(min(self._block_bytes, self._reader.size))
        for number in numbers:
            began = clock()
            block = _block(self._reader, number, self._block_bytes, buffer, self._digest)
            handed = clock()
            yield block
            self.slow = balance.calls_for_thread(handed - began, clock() - handed)
            if self.slow:
                return


def _block(
    reader: DiskReader,
    number: int,
    block_bytes: int,
    buffer: bytearray,
    digest: Callable[[memoryview], bytes] | None,
) -> Block:
    offset = number * block_bytes
    view = memoryview(buffer)[: min(block_bytes, reader.size - offset)]
    reader.read_into(offset, view)
    return Block(number, view, digest(view) if digest else b"")


def _in_turn(lanes: "Sequence[_Lane]") -> Iterator[Block]:
    for lane in cycle(lanes):
        item = lane.filled.get()
        if isinstance(item, _End):
            if item.problem is not None:
                raise item.problem
            return
        block, buffer = item
        yield block
        lane.free.put(buffer)


class _Lane:
    """One thread that reads its share of the blocks into its own buffers."""

    def __init__(
        self,
        reader: DiskReader,
        numbers: Iterable[int],
        block_bytes: int,
        digest: Callable[[memoryview], bytes] | None,
        depth: int,
        stop: threading.Event,
    ) -> None:
        self.free: Queue[bytearray] = Queue()
        for _ in range(depth):
            self.free.put(bytearray(min(block_bytes, reader.size)))
        self.filled: Queue[tuple[Block, bytearray] | _End] = Queue(maxsize=depth + 1)
        self._reader, self._numbers, self._block_bytes = reader, numbers, block_bytes
        self._digest, self._stop = digest, stop
        self.thread = threading.Thread(target=copy_context().run, args=(self._run,), name="v2x-pump", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        problem: BaseException | None = None
        try:
            self._read()
        except BaseException as caught:  # handed over to the consuming thread, which raises it
            problem = caught
        finally:
            _handed(self.filled, _End(problem), self._stop)

    def _read(self) -> None:
        for number in self._numbers:
            buffer = _taken(self.free, self._stop)
            if buffer is None:
                return
            block = _block(self._reader, number, self._block_bytes, buffer, self._digest)
            self.filled.put((block, buffer))


def _taken(free: "Queue[bytearray]", stop: threading.Event) -> bytearray | None:
    while not stop.is_set():
        try:
            return free.get(timeout=_POLL_SECONDS)
        except Empty:
            continue
    return None


def _handed(filled: "Queue[tuple[Block, bytearray] | _End]", end: _End, stop: threading.Event) -> None:
    while True:
        try:
            filled.put(end, timeout=_POLL_SECONDS)
            return
        except Full:
            if stop.is_set():
                return
