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


class Clocked:
    """A disk of blocks of 1024 bytes whose reads take `seconds` of a clock that `using` moves as well."""

    block, size = 1024, 1024 * 200 - 24

    def __init__(self, seconds, fail_at=-1):
        self.seconds, self.fail_at = seconds, fail_at
        self.now, self.threads = 0.0, []

    def clock(self):
        return self.now

    def read_into(self, offset, buffer):
        if offset // 1024 == self.fail_at:
            raise OSError("broken")
        self.now += self.seconds
        self.threads.append(threading.current_thread())
        buffer[:] = bytes([offset // 1024]) * len(buffer)

    def extents(self, start, length): ...
    def clone(self): ...
    def close(self): ...


def taken(reader, using, count=200):
    """The blocks' content, with `using` seconds spent on each by their consumer."""
    seen = []
    with pumped(reader, range(count), 1024, clock=reader.clock) as blocks:
        for block in blocks:
            seen.append((block.number, bytes(block.data)))
            reader.now += using
    assert seen == [(number, bytes([number]) * (1024 if number < 199 else 1000)) for number in range(count)]


def test_a_quick_source_of_a_busy_consumer_needs_no_thread():
    reader = Clocked(0.3)
    taken(reader, using=1.0)
    assert set(reader.threads) == {threading.current_thread()}


def test_a_source_that_takes_time_is_read_ahead_by_a_thread():
    reader, before = Clocked(0.5), threading.active_count()
    taken(reader, using=1.0)
    here = [thread is threading.current_thread() for thread in reader.threads]
    assert here == [True] * 16 + [False] * 184
    assert threading.active_count() == before


def test_a_source_that_becomes_slow_gets_its_thread_then():
    reader = Clocked(0.01)
    with pumped(reader, range(200), 1024, clock=reader.clock) as blocks:
        for block in blocks:
            reader.now += 1.0
            if block.number == 100:
                reader.seconds = 2.0
    assert reader.threads[100] is threading.current_thread()
    assert threading.current_thread() not in reader.threads[140:]
    assert len(reader.threads) == 200


@pytest.mark.parametrize("seconds", [0.0, 5.0])
def test_an_error_arrives_at_its_block_whoever_reads(seconds):
    reader, before = Clocked(seconds, fail_at=50), threading.active_count()
    seen = []
    with pytest.raises(OSError, match="broken"), pumped(reader, range(200), 1024, clock=reader.clock) as blocks:
        for block in blocks:
            seen.append(block.number)
            reader.now += 1.0
    assert seen == list(range(50))
    assert threading.active_count() == before


def test_leaving_early_ends_the_thread():
    reader, before = Clocked(1.0), threading.active_count()
    with pumped(reader, range(200), 1024, clock=reader.clock) as blocks:
        for block in blocks:
            if block.number == 30:
                break
    assert threading.active_count() == before
    assert reader.threads[-1] is not threading.current_thread()


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
