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


def test_leaving_early_ends_the_thread(world):
    reader = world.source.reader(world.machine, world.machine.disks[0], None)
    before = threading.active_count()
    with pumped(reader, range(9), BLOCK_BYTES) as blocks:
        next(blocks)
    assert threading.active_count() == before


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
