# SPDX-License-Identifier: Apache-2.0
"""Verification reads what may hold data, on either side, and nothing else."""

import random

import pytest

from v2x.disks.extent import Extent
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.migrate.digests import DigestTable, digest_of
from v2x.migrate.observe import Silent
from v2x.migrate.verify import VerifyMismatch, verify_disk
from v2x.model.migration import VerifyLevel
from v2x.model.units import MIB

HALF = BLOCK_BYTES // 2


class Held:
    """A target disk of `blocks` {number: fill}, which notes what is read; `told` replaces its extents."""

    block = BLOCK_BYTES

    def __init__(self, blocks, size, told=None):
        self.blocks, self.size, self.told = blocks, size, told
        self.read = []

    def read_into(self, offset, buffer):
        number, within = divmod(offset, BLOCK_BYTES)
        assert within == 0
        self.read.append((number, len(buffer)))
        buffer[:] = bytes([self.blocks.get(number, 0)]) * len(buffer)

    def extents(self, start, length):
        if self.told is not None:
            yield from self.told
            return
        for number in range(-(-length // BLOCK_BYTES)):
            at = start + number * BLOCK_BYTES
            yield Extent(at, min(BLOCK_BYTES, start + length - at), number in self.blocks)


class Bar(Silent):
    total = done = 0

    def disk(self, disk, label, activity, done_bytes, total_bytes):
        assert activity == "verify"
        self.total = total_bytes

    def progress(self, disk, count_bytes):
        self.done += count_bytes


def digests(blocks, size):
    table = DigestTable()
    for number, fill in sorted(blocks.items()):
        length = min(BLOCK_BYTES, size - number * BLOCK_BYTES)
        table.add(number, digest_of(bytearray([fill]) * length))
    return table.record(BLOCK_BYTES, size)


def verify(held, blocks, size, level=VerifyLevel.FULL):
    bar = Bar()
    verify_disk(held, digests(blocks, size), level, bar, disk="d", label="disk")
    assert bar.done == bar.total == sum(length for _, length in held.read)
    return [number for number, _ in held.read]


def test_blocks_without_data_on_either_side_are_not_read():
    size = 4000 * BLOCK_BYTES
    blocks = {3: 1, 4: 2, 1000: 3, 3999: 4}
    assert verify(Held(blocks, size), blocks, size) == [3, 4, 1000, 3999]


def test_a_source_block_of_zeros_may_be_absent():
    size = 10 * BLOCK_BYTES
    assert verify(Held({1: 5}, size), {1: 5, 4: 0}, size) == [1, 4]


def test_a_block_that_is_absent_but_has_data_at_the_source():
    size = 10 * BLOCK_BYTES
    with pytest.raises(VerifyMismatch, match=f"differs in the block at byte {4 * BLOCK_BYTES:,}"):
        verify(Held({1: 5}, size), {1: 5, 4: 1}, size)


def test_a_block_that_only_the_target_has_may_be_zeros():
    size = 10 * BLOCK_BYTES
    assert verify(Held({1: 5, 7: 0}, size), {1: 5}, size) == [1, 7]
    with pytest.raises(VerifyMismatch, match=f"holds data at byte {7 * BLOCK_BYTES:,}"):
        verify(Held({1: 5, 7: 9}, size), {1: 5}, size)


def test_extents_that_share_a_block_make_one_read_of_it():
    size = 6 * BLOCK_BYTES
    told = [
        Extent(0, 100, True),
        Extent(100, HALF, False),
        Extent(100 + HALF, BLOCK_BYTES, True),
        Extent(100 + HALF + BLOCK_BYTES, 4 * BLOCK_BYTES + HALF - 200, False),
        Extent(size - 100, 100, True),
    ]
    assert verify(Held({0: 1, 1: 2, 5: 3}, size, told), {0: 1, 1: 2, 5: 3}, size) == [0, 1, 5]


def test_a_target_without_extents_is_read_whole():
    size = 5 * BLOCK_BYTES + 512
    held = Held({2: 1}, size, [Extent(0, size, True)])
    assert verify(held, {2: 1}, size) == [0, 1, 2, 3, 4, 5]
    assert held.read[-1] == (5, 512)


def test_the_end_of_a_larger_target_must_be_zeros():
    size, larger = 2 * BLOCK_BYTES + 512, 3 * BLOCK_BYTES

    class Tail(Held):
        def read_into(self, offset, buffer):
            super().read_into(offset, buffer)
            if offset == 2 * BLOCK_BYTES:
                buffer[512:] = bytes(len(buffer) - 512)
                buffer[-1] = self.stray

    held = Tail({0: 1, 2: 7}, larger)
    held.stray = 0
    assert verify(held, {0: 1, 2: 7}, size) == [0, 2]
    held.stray = 1
    with pytest.raises(VerifyMismatch, match="where the source has none"):
        verify(held, {0: 1, 2: 7}, size)


def test_the_sample_goes_through_the_first_256_blocks_with_data():
    size = 1000 * BLOCK_BYTES
    blocks = {number: 1 + number % 200 for number in range(0, 600, 2)}
    read = verify(Held(blocks | {3: 0, 601: 0}, size), blocks, size, VerifyLevel.SAMPLE)
    assert read == sorted([*range(0, 512, 2), 3])
    with pytest.raises(VerifyMismatch):
        verify(Held(blocks | {509: 9}, size), blocks, size, VerifyLevel.SAMPLE)
    verify(Held(blocks | {513: 9, 514: 9}, size), blocks, size, VerifyLevel.SAMPLE)


@pytest.mark.parametrize("seed", range(8))
def test_any_pair_of_maps(seed):
    chance = random.Random(seed)
    count = 200
    size = count * BLOCK_BYTES - chance.choice([0, 512, MIB])
    blocks = {number: chance.randrange(3) for number in range(count) if chance.random() < 0.3}
    absent = {number for number, fill in blocks.items() if fill == 0}
    present = {number: 0 for number in range(count) if chance.random() < 0.2}
    present |= {number: fill for number, fill in blocks.items() if number not in absent or chance.random() < 0.5}
    assert verify(Held(present, size), blocks, size) == sorted(blocks.keys() | present.keys())
