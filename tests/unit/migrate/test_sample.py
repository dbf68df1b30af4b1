# SPDX-License-Identifier: Apache-2.0
"""Which blocks a sample compares, where each can be read by itself."""

import random

import pytest

from v2x.migrate.sample import SAMPLE_BLOCKS, sampled
from v2x.model.migration import BlockDigests
from v2x.model.units import MIB, TIB

BLOCK = 2 * MIB


def chosen(runs, size, seed=1, held=None):
    digests = BlockDigests(algorithm="a", block_bytes=BLOCK, size_bytes=size, runs=tuple(runs))
    return sampled(digests, held or size, random.Random(seed))


def test_a_small_disk_is_compared_whole():
    assert chosen([(1, 2), (7, 1)], 9 * BLOCK) == list(range(9))
    assert chosen([(0, 5)], 4 * BLOCK + 512) == [0, 1, 2, 3, 4]
    assert chosen([], 3 * BLOCK) == [0, 1, 2]


def test_a_large_disk_has_its_ends_its_middle_and_some_zeros():
    runs = [(10, 1000), (500_000, 3000), (900_000, 7)]
    data = {number for first, count in runs for number in range(first, first + count)}
    numbers = chosen(runs, 4 * TIB)
    assert numbers == sorted(set(numbers))
    assert len(numbers) == SAMPLE_BLOCKS
    assert numbers[-1] == 4 * TIB // BLOCK - 1, "the very last block is always there"
    with_data = [number for number in numbers if number in data]
    assert len(numbers) - len(with_data) == 32
    assert with_data[:64] == list(range(10, 74))
    assert with_data[-64:] == [*range(502_943, 503_000), *range(900_000, 900_007)]
    assert {number for number in with_data[64:-64] if number < 1010}
    assert {number for number in with_data[64:-64] if number >= 500_000}


def test_another_chance_compares_other_blocks_and_the_same_the_same():
    runs = [(0, 100_000)]
    assert chosen(runs, TIB, seed=1) == chosen(runs, TIB, seed=1)
    assert chosen(runs, TIB, seed=1) != chosen(runs, TIB, seed=2)


def test_what_lies_beyond_the_source_on_the_target_is_looked_at():
    numbers = chosen([(0, 2)], 2 * BLOCK, held=3 * BLOCK)
    assert numbers == [0, 1, 2]


@pytest.mark.parametrize("seed", range(30))
def test_any_table_gives_blocks_of_the_disk(seed):
    chance = random.Random(seed)
    runs, at = [], 0
    for _ in range(chance.randrange(40)):
        at += chance.randrange(50)
        count = chance.randrange(1, 60)
        if runs and sum(runs[-1]) == at:
            at += 1
        runs.append((at, count))
        at += count
    whole = at + chance.randrange(3) + 1
    numbers = chosen(runs, whole * BLOCK, seed)
    assert numbers == sorted(set(numbers))
    assert len(numbers) <= SAMPLE_BLOCKS
    assert numbers[-1] <= whole - 1
    if whole <= 128:
        assert set(numbers) >= {n for first, count in runs for n in range(first, first + count)}
