# SPDX-License-Identifier: Apache-2.0
"""Reads blocks ahead in a thread of its own, in a bounded number of reused buffers."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, Full, Queue
from typing import NamedTuple

from v2x.disks.interface import DiskReader

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
    raised at the block it belongs to. Leaving the context stops the thread; the reader stays open.
    """
    free: Queue[bytearray] = Queue()
    for _ in range(depth):
        free.put(bytearray(min(block_bytes, reader.size)))
    filled: Queue[tuple[Block, bytearray] | _End] = Queue(maxsize=depth + 1)
    stop = threading.Event()

    def read() -> None:
        problem: BaseException | None = None
        try:
            for number in numbers:
                buffer = _taken(free, stop)
                if buffer is None:
                    return
                offset = number * block_bytes
                view = memoryview(buffer)[: min(block_bytes, reader.size - offset)]
                reader.read_into(offset, view)
                filled.put((Block(number, view, digest(view) if digest else b""), buffer))
        except BaseException as caught:  # handed over to the consuming thread, which raises it
            problem = caught
        finally:
            _handed(filled, _End(problem), stop)

    def blocks() -> Iterator[Block]:
        while True:
            item = filled.get()
            if isinstance(item, _End):
                if item.problem is not None:
                    raise item.problem
                return
            block, buffer = item
            yield block
            free.put(buffer)

    thread = threading.Thread(target=read, name="v2x-pump", daemon=True)
    thread.start()
    try:
        yield blocks()
    finally:
        stop.set()
        thread.join()


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
