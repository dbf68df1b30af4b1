# SPDX-License-Identifier: Apache-2.0
import threading

import pytest

from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.migrate.digests import DigestTable, digest_of, recorded
from v2x.migrate.pace import Pace
from v2x.migrate.pump import pumped


def test_blocks_come_in_order_with_their_digests(world):
    reader = world.source.reader(world.machine, world.machine.disks[0], None)
    with pumped(reader, [0, 3, 9], BLOCK_BYTES, digest=digest_of) as blocks:
        seen = [(block.number, len(block.data), block.digest) for block in blocks]
    data = world.contents["a"]
    assert [number for number, _, _ in seen] == [0, 3, 9]
    assert seen[-1][1] == BLOCK_BYTES - 512
    assert seen[1][2] == digest_of(bytearray(data[3 * BLOCK_BYTES : 4 * BLOCK_BYTES]))


def test_an_error_of_the_reader_arrives_at_its_block(world):
    reader = world.source.reader(world.machine, world.machine.disks[0], None)
    reader.fail_at = 3 * BLOCK_BYTES
    seen = []
    with pytest.raises(OSError, match="broken"), pumped(reader, range(9), BLOCK_BYTES) as blocks:
        for block in blocks:
            seen.append(block.number)
    assert seen == [0, 1, 2]


COUNT = 1000


class Clocked:
    """A disk of blocks of 64 bytes. Reading one takes `seconds` of a clock that `taken` moves as well: of all time that
    passes, or only where the consumer waits for it, because another thread reads meanwhile (`beside`)."""

    block, size = 64, 64 * COUNT - 24

    def __init__(self, seconds, *, beside=True, fail_at=-1):
        self.seconds, self.beside, self.fail_at = seconds, beside, fail_at
        self.consumer = threading.current_thread()
        self.now, self.here = 0.0, []

    def read_into(self, offset, buffer):
        number = offset // 64
        if number == self.fail_at:
            raise OSError("broken")
        here = threading.current_thread() is self.consumer
        self.here.append(here)
        if here or not self.beside:
            self.now += self.seconds
        buffer[:] = bytes([number % 251]) * len(buffer)

    def extents(self, start, length): ...
    def clone(self): ...
    def close(self): ...


def taken(reader, using, until=COUNT):
    """Takes all blocks, with `using` seconds spent on each; raises unless each comes once, in order, whole."""
    before = threading.active_count()
    numbers = iter(range(COUNT))
    with pumped(reader, range(COUNT), 64, clock=lambda: reader.now) as blocks:
        for block in blocks:
            assert block.number == next(numbers)
            assert bytes(block.data) == bytes([block.number % 251]) * (64 if block.number < COUNT - 1 else 40)
            reader.now += using(block.number) if callable(using) else using
            if block.number == until:
                break
    assert threading.active_count() == before
    return next(numbers, COUNT)


def test_a_quick_source_of_a_busy_consumer_needs_no_thread():
    """For 128 blocks a thread was tried, and gained nothing."""
    reader = Clocked(0.4, beside=False)
    assert taken(reader, lambda number: 1.3 if 128 <= number < 256 else 1.0) == COUNT
    assert reader.here == [True] * 128 + [False] * 128 + [True] * (COUNT - 256)


def test_a_thread_that_was_tried_stays_where_it_is_quicker():
    reader = Clocked(0.4)
    assert taken(reader, 1.0) == COUNT
    assert reader.here == [True] * 128 + [False] * (COUNT - 128)


def test_a_source_that_takes_time_is_read_ahead_by_a_thread():
    reader = Clocked(0.6)
    assert taken(reader, 1.0) == COUNT
    assert reader.here == [True] * 16 + [False] * (COUNT - 16)


def test_a_source_that_becomes_slow_gets_its_thread_then():
    reader = Clocked(0.01, beside=False)

    def using(number):
        if number == 500:
            reader.seconds = 2.0
        return 1.1 if 128 <= number < 256 else 1.0

    assert taken(reader, using) == COUNT
    assert all(reader.here[256:500])
    assert not any(reader.here[540:])


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 127, 128, 129, 255, 256, 257])
@pytest.mark.parametrize("seconds", [0.1, 0.6])
def test_disks_of_every_length_come_whole(count, seconds):
    reader, seen = Clocked(seconds), []
    with pumped(reader, range(count), 64, clock=lambda: reader.now) as blocks:
        for block in blocks:
            seen.append(block.number)
            reader.now += 1.0
    assert seen == list(range(count))


@pytest.mark.parametrize("fail_at", [5, 50, 200, 700])
@pytest.mark.parametrize("seconds", [0.0, 0.4, 5.0])
@pytest.mark.parametrize("beside", [True, False])
def test_an_error_arrives_at_its_block_whoever_reads(fail_at, seconds, beside):
    reader, before = Clocked(seconds, beside=beside, fail_at=fail_at), threading.active_count()
    seen = []
    with pytest.raises(OSError, match="broken"), pumped(reader, range(COUNT), 64, clock=lambda: reader.now) as blocks:
        for block in blocks:
            seen.append(block.number)
            reader.now += 1.0
    assert seen == list(range(fail_at))
    assert threading.active_count() == before


@pytest.mark.parametrize("until", [3, 130, 300])
def test_leaving_early_ends_the_threads(until):
    for seconds in (0.1, 0.6):
        assert taken(Clocked(seconds), 1.0, until=until) == until + 1


def test_a_digest_table_forgets_what_is_read_again():
    table = DigestTable()
    for number in (0, 1, 5, 6):
        table.add(number, digest_of(bytearray([number])))
    table.add(5, digest_of(b"x"))
    record = table.record(4096, 10 * 4096)
    assert record.runs == ((0, 2), (5, 1))
    assert dict(recorded(record))[5] == digest_of(b"x")
    assert list(recorded(record)) == list(table.items())


def test_a_pace_waits_for_what_is_above_the_rate():
    now, slept = [0.0], []
    rate = [0]

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(lambda: rate[0], clock=lambda: now[0], sleep=sleep)
    pace.passed(10**9)
    assert slept == []
    rate[0] = 1000
    for _ in range(3):
        pace.passed(500)
    assert sum(slept) == pytest.approx(1.5)


class Busy:
    """A disk behind which several may ask at once; notes which of its clones read what."""

    at_once = 3

    def __init__(self, content, log, fail_at=-1):
        self.content, self.log, self.fail_at = content, log, fail_at
        self.size, self.closed = len(content), False

    def read_into(self, offset, buffer):
        if offset == self.fail_at:
            raise OSError("broken")
        self.log.append((offset // 1024, id(self)))
        buffer[:] = self.content[offset : offset + len(buffer)]

    def extents(self, start, length): ...

    def clone(self):
        made = Busy(self.content, self.log, self.fail_at)
        self.log.append((-1, made))
        return made

    def close(self):
        self.closed = True

    block = 1024


def test_several_readers_take_turns_and_blocks_come_in_order():
    content, log = bytes(number // 1024 % 251 for number in range(20 * 1024 - 100)), []
    reader = Busy(content, log)
    with pumped(reader, (number for number in range(20)), 1024, digest=digest_of) as blocks:
        seen = [(block.number, bytes(block.data), block.digest) for block in blocks]
    assert [number for number, _, _ in seen] == list(range(20))
    assert b"".join(data for _, data, _ in seen) == content
    assert all(digest == digest_of(data) for _, data, digest in seen)
    by_reader = {}
    for number, who in log:
        if number >= 0:
            by_reader.setdefault(who, []).append(number)
    assert sorted(by_reader.values()) == [list(range(turn, 20, 3)) for turn in range(3)]
    assert [made.closed for number, made in log if number < 0] == [True, True]
    assert not reader.closed


def test_an_error_of_one_of_several_arrives_at_its_block_and_ends_all():
    log, before = [], threading.active_count()
    seen = []
    reader = Busy(bytes(range(256)) * 80, log, fail_at=7 * 1024)
    with pytest.raises(OSError, match="broken"), pumped(reader, range(20), 1024) as blocks:
        for block in blocks:
            seen.append(block.number)
    assert seen == list(range(7))
    assert threading.active_count() == before


def test_a_clone_that_cannot_be_made_leaves_no_thread():
    class Alone(Busy):
        def clone(self):
            raise OSError("no second connection")

    before = threading.active_count()
    with pytest.raises(OSError, match="second"), pumped(Alone(bytes(4096), []), range(4), 1024):
        pass
    assert threading.active_count() == before
