# SPDX-License-Identifier: Apache-2.0
"""Reads blocks ahead in threads of its own, in a bounded number of reused buffers."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from itertools import cycle, islice
from queue import Empty, Full, Queue
from typing import NamedTuple

from v2x.disks.interface import DiskReader, SeveralAtOnce

_POLL_SECONDS = 0.2


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
) -> Iterator[Iterator[Block]]:
    """Iterates over the blocks `numbers` of `reader`, at most `depth` of them in memory.

    The last block of the disk is short where the size is no multiple of `block_bytes`. An error of the reader is
    raised at the block it belongs to. Leaving the context stops the threads; the reader stays open. One thread reads,
    or as many as a SeveralAtOnce asks for, which take turns: each has its own queue, and the blocks come in order.
    """
    at_once = reader.at_once if isinstance(reader, SeveralAtOnce) else 1
    stop = threading.Event()
    readers = [reader]
    lanes: list[_Lane] = []
    try:
        for _ in range(1, at_once):
            readers.append(reader.clone())
        held = numbers if at_once == 1 or isinstance(numbers, Sequence) else list(numbers)
        for turn, own in enumerate(readers):
            share = islice(held, turn, None, at_once)
            lanes.append(_Lane(own, share, block_bytes, digest, max(2, depth // at_once), stop))
        yield _in_turn(lanes)
    finally:
        stop.set()
        for lane in lanes:
            lane.thread.join()
        for own in readers[1:]:
            own.close()


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
        reader, digest = self._reader, self._digest
        for number in self._numbers:
            buffer = _taken(self.free, self._stop)
            if buffer is None:
                return
            offset = number * self._block_bytes
            view = memoryview(buffer)[: min(self._block_bytes, reader.size - offset)]
            reader.read_into(offset, view)
            self.filled.put((Block(number, view, digest(view) if digest else b""), buffer))


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
