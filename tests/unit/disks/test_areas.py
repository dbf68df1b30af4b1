# SPDX-License-Identifier: Apache-2.0
"""Changed areas: nothing that changed is left out, and nothing beyond its 64 KiB is added."""

import random

import pytest

from v2x.disks.areas import AREA_BYTES, ChangedAreas
from v2x.disks.extent import Extent
from v2x.disks.stream.feed import BLOCK_BYTES


def covered(areas, size):
    """The areas by number, from the parts of all blocks."""
    found = set()
    for block in areas.blocks:
        length = min(BLOCK_BYTES, size - block * BLOCK_BYTES)
        for offset, count in areas.parts(block, length):
            assert offset % AREA_BYTES == 0 and 0 < count <= length - offset
            first = (block * BLOCK_BYTES + offset) // AREA_BYTES
            found.update(range(first, first + -(-count // AREA_BYTES)))
    return found


@pytest.mark.parametrize("seed", range(30))
def test_parts_are_the_areas_that_the_extents_touch(seed):
    chance = random.Random(seed)
    size = chance.randrange(1, 9 * BLOCK_BYTES) // 512 * 512 + 512
    extents = []
    for _ in range(chance.randrange(12)):
        start = chance.randrange(size)
        extents.append(Extent(start, chance.choice((1, 512, AREA_BYTES, 5 * BLOCK_BYTES)), True))
    areas = ChangedAreas(extents, size)
    wanted = {
        number
        for one in extents
        for number in range(one.start // AREA_BYTES, -(-min(one.end, size) // AREA_BYTES))
    }  # fmt: skip
    assert covered(areas, size) == wanted
    assert areas.length == len(wanted) * AREA_BYTES
    assert list(areas.blocks) == sorted({number * AREA_BYTES // BLOCK_BYTES for number in wanted})


def test_a_whole_block_is_one_part_and_the_last_is_cut_at_the_disks_end():
    areas = ChangedAreas()
    areas.add_blocks([3])
    assert list(areas.parts(3, BLOCK_BYTES)) == [(0, BLOCK_BYTES)]
    assert list(areas.parts(3, 5 * 512)) == [(0, 5 * 512)]
    assert list(areas.parts(2, BLOCK_BYTES)) == []
    assert areas.blocks == [3]


def test_parts_end_at_the_first_area_that_did_not_change():
    areas = ChangedAreas([Extent(AREA_BYTES, 2 * AREA_BYTES, True), Extent(5 * AREA_BYTES, 1, True)], BLOCK_BYTES)
    assert list(areas.parts(0, BLOCK_BYTES)) == [(AREA_BYTES, 2 * AREA_BYTES), (5 * AREA_BYTES, AREA_BYTES)]
