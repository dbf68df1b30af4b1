# SPDX-License-Identifier: Apache-2.0
"""Which blocks of a disk a sample compares, where each can be read by itself."""

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from v2x.model.migration import BlockDigests

SAMPLE_BLOCKS = 256
"""All that are compared: 512 MiB of a disk."""
_FIRST, _LAST, _EMPTY = 64, 64, 32


def sampled(digests: BlockDigests, held_bytes: int, chance: random.Random) -> list[int]:
    """At most 256 ascending block numbers of a disk that has `held_bytes` on the target.

    The first 64 and the last 64 blocks with data (partition tables, boot loader, file systems; what was sent last), 96
    of those between, and up to 32 of the blocks without, which have to be zeros; the disk's very last block is always
    among them.
    """
    whole = -(-held_bytes // digests.block_bytes)
    counts = list(accumulate(count for _, count in digests.runs))
    data = counts[-1] if counts else 0
    chosen = {*range(min(_FIRST, data)), *range(max(0, data - _LAST), data)}
    between = range(_FIRST, max(_FIRST, data - _LAST))
    empty = min(_EMPTY, whole - data)
    chosen.update(chance.sample(between, min(len(between), SAMPLE_BLOCKS - len(chosen) - empty)))
    numbers = {_nth(digests.runs, counts, index) for index in chosen}
    gaps = list(_gaps(digests.runs, whole))
    if empty:
        ends = list(accumulate(count for _, count in gaps))
        holes = {_nth(gaps, ends, index) for index in chance.sample(range(whole - data), empty)}
        if gaps[-1][0] + gaps[-1][1] == whole and whole - 1 not in holes:
            holes = {*sorted(holes)[1:], whole - 1}
        numbers |= holes
    return sorted(numbers)


def _nth(runs: Sequence[tuple[int, int]], ends: Sequence[int], index: int) -> int:
    """The number of the block that is the `index`-th of `runs`, whose counts add up to `ends`."""
    at = bisect_right(ends, index)
    return runs[at][0] + index - (ends[at - 1] if at else 0)


def _gaps(runs: Sequence[tuple[int, int]], whole: int) -> Iterator[tuple[int, int]]:
    """What lies between and after `runs`, as runs."""
    reached = 0
    for first, count in runs:
        if first > reached:
            yield reached, first - reached
        reached = first + count
    if whole > reached:
        yield reached, whole - reached
