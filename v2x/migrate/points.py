# SPDX-License-Identifier: Apache-2.0
"""A point in time with the blocks that may differ from it, as the text that stands on a disk at the target.

A conversion overwrites some blocks of a disk that holds a point in time of its source. Before it does, the disk's
point is made to name them: whatever breaks it off, these blocks are the only ones that are not as the source has them.
"""

import re
from collections.abc import Iterable, Sequence

_TOUCHED = re.compile(r"(.*)\+guest:((?:\d{1,8}(?:-\d{1,8})?,)*\d{1,8}(?:-\d{1,8})?)", re.DOTALL)
_MOST_RUNS = 200
"""More would make a long text of every listing of the pool's disks: close runs are joined then."""


def marked(point: str, blocks: Iterable[int]) -> str:
    """`point` with the blocks that may differ from it: at least those of `blocks`."""
    runs = _runs(sorted(set(blocks)))
    if not runs:
        return point
    return f"{point}+guest:" + ",".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)


def parted(text: str) -> tuple[str, tuple[int, ...]]:
    """The point, and the blocks that may differ from it, ascending."""
    found = _TOUCHED.fullmatch(text)
    if found is None:
        return text, ()
    blocks: list[int] = []
    for run in found[2].split(","):
        first, _, last = run.partition("-")
        blocks.extend(range(int(first), int(last or first) + 1))
    return found[1], tuple(blocks)


def _runs(blocks: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for block in blocks:
        if runs and runs[-1][1] + 1 == block:
            runs[-1] = (runs[-1][0], block)
        else:
            runs.append((block, block))
    if len(runs) <= _MOST_RUNS:
        return runs
    gaps = sorted(range(1, len(runs)), key=lambda index: runs[index][0] - runs[index - 1][1])
    kept = sorted(gaps[len(runs) - _MOST_RUNS :])
    firsts, lasts = [0, *kept], [*(index - 1 for index in kept), len(runs) - 1]
    return [(runs[first][0], runs[last][1]) for first, last in zip(firsts, lasts, strict=True)]
