# SPDX-License-Identifier: Apache-2.0
"""Reading ahead: data blocks only, in order, bounded, and honest about errors."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from v2x.disks.extent import Extent, touched_blocks
from v2x.disks.readahead import ReadAhead
from v2x.errors import BadImage, SourceError

BLOCK = 1024


class Disk:
    """A disk in memory that notes which blocks were read by which thread."""

    def __init__(self, raw: bytes, log: list[tuple[int, bool]], fails: set[int] | None = None) -> None:
        self.raw, self.log = raw, log
        self.fails: set[int] = set() if fails is None else fails
        self.size, self.block = len(raw), BLOCK
        self.closed = 0

    def read_into(self, offset: int, buffer: Any) -> None:
        self.log.append((offset // BLOCK, threading.current_thread() is threading.main_thread()))
        if offset // BLOCK in self.fails:
            self.fails.discard(offset // BLOCK)
            raise SourceError(f"block {offset // BLOCK} lost")
        buffer[:] = self.raw[offset : offset + len(buffer)]

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        at = start
        while at < start + length:
            end = min(start + length, (at // BLOCK + 1) * BLOCK)
            yield Extent(at, end - at, any(self.raw[at:end]))
            at = end

    def clone(self) -> "Disk":
        return Disk(self.raw, self.log, self.fails)

    def close(self) -> None:
        self.closed += 1


def disk_of(blocks: str) -> bytes:
    return b"".join(bytes([ord(sign)] if sign != "." else [0]) * BLOCK for sign in blocks)


def read(reader: ReadAhead, number: int) -> bytes:
    buffer = bytearray(BLOCK)
    reader.read_into(number * BLOCK, buffer)
    return bytes(buffer)


def test_in_order_every_data_block_is_fetched_once_by_the_workers() -> None:
    raw, log = disk_of("ab..cdefgh.....ij"), []
    reader = ReadAhead(Disk(raw, log), depth=3, workers=2, block_bytes=BLOCK)
    for number in touched_blocks(reader.extents(0, len(raw)), BLOCK):
        assert read(reader, number) == raw[number * BLOCK : (number + 1) * BLOCK]
    reader.close()
    assert sorted(log) == [(number, False) for number in (0, 1, 4, 5, 6, 7, 8, 9, 15, 16)]


def test_zero_blocks_between_do_not_start_over() -> None:
    raw, log = disk_of("a....b....c"), []
    reader = ReadAhead(Disk(raw, log), depth=2, workers=1, block_bytes=BLOCK)
    assert b"".join(read(reader, number) for number in range(11)) == raw
    reader.close()
    assert sorted(number for number, by_caller in log if not by_caller) == [0, 5, 10]


def test_no_more_than_depth_and_workers_are_held() -> None:
    raw, log = disk_of("x" * 50), []
    reader = ReadAhead(Disk(raw, log), depth=4, workers=2, block_bytes=BLOCK)
    read(reader, 0)
    reader.close()
    assert {number for number, _ in log} <= {0, 1, 2, 3}


def test_a_jump_starts_anew_from_there_and_back() -> None:
    raw, log = disk_of("abcdefghijklmnopqrstuvwxyz"), []
    reader = ReadAhead(Disk(raw, log), depth=2, workers=1, block_bytes=BLOCK)
    for number in (0, 1, 20, 21, 3, 4, 5, 25):
        assert read(reader, number) == raw[number * BLOCK : (number + 1) * BLOCK]
    reader.close()


def test_an_error_is_raised_by_the_read_that_needs_the_block_and_can_be_tried_again() -> None:
    raw, log = disk_of("abcdef"), []
    reader = ReadAhead(Disk(raw, log, {2}), depth=4, workers=1, block_bytes=BLOCK)
    assert read(reader, 0) == raw[:BLOCK]
    assert read(reader, 1) == raw[BLOCK : 2 * BLOCK]
    with pytest.raises(SourceError, match="block 2 lost"):
        read(reader, 2)
    assert read(reader, 2) == raw[2 * BLOCK : 3 * BLOCK]
    assert read(reader, 3) == raw[3 * BLOCK : 4 * BLOCK]
    reader.close()


def test_damage_in_the_map_further_on_does_not_fail_a_read() -> None:
    class Torn(Disk):
        def extents(self, start: int, length: int) -> Iterator[Extent]:
            yield Extent(start, BLOCK, True)
            raise BadImage("a table further on is damaged")

    raw = disk_of("abc")
    reader = ReadAhead(Torn(raw, []), depth=4, workers=1, block_bytes=BLOCK)
    assert b"".join(read(reader, number) for number in range(3)) == raw
    reader.close()


def test_closing_closes_the_reader_once_and_all_clones() -> None:
    clones: list[Disk] = []

    class Cloning(Disk):
        def clone(self) -> Disk:
            clones.append(super().clone())
            return clones[-1]

    inner = Cloning(disk_of("abcdef"), [])
    reader = ReadAhead(inner, depth=2, workers=3, block_bytes=BLOCK)
    read(reader, 0)
    reader.close()
    reader.close()
    assert inner.closed == 1
    assert clones
    assert all(clone.closed == 1 for clone in clones)


class Timed(Disk):
    """Each read takes the time that the test says, on its clock."""

    seconds, now, most_at_once = 0.0, 0.0, 0

    def read_into(self, offset: int, buffer: Any) -> None:
        super().read_into(offset, buffer)
        Timed.now += Timed.seconds

    def clone(self) -> "Timed":
        Timed.most_at_once += 1
        return Timed(self.raw, self.log, self.fails)


@pytest.mark.parametrize(("seconds", "clones"), [(0.0, 2), (BLOCK * 3 / 400e6, 4), (1.0, 8)])
def test_as_many_at_once_as_the_time_of_a_block_asks_for(seconds: float, clones: int) -> None:
    Timed.seconds, Timed.most_at_once = seconds * 1.01, 0
    raw, log = disk_of("x" * 64), []
    reader = ReadAhead(Timed(raw, log), block_bytes=BLOCK, clock=lambda: Timed.now)
    # One thread's clock is moved by the others too: only one of them is let read at a time.
    reader._fetch = _one_at_a_time(reader._fetch)  # type: ignore[method-assign]
    for number in range(64):
        assert read(reader, number) == raw[number * BLOCK : (number + 1) * BLOCK]
    reader.close()
    assert reader._wanted() == (clones, clones)


def _one_at_a_time(fetch: Any) -> Any:
    lock = threading.Lock()

    def fetched(number: int, workers: int) -> bytearray:
        with lock:
            made: bytearray = fetch(number, workers)
            return made

    return fetched
