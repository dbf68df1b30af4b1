# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2x.disks.allocation import SAMPLE_BYTES, AllocationMap, Mapped, first_contradiction, samples
from v2x.disks.extent import Extent
from v2x.errors import BadImage

MIB = 1 << 20


class Memory:
    """A disk of bytes that counts what is read."""

    block = 4096

    def __init__(self, content: bytes, read: list[Extent] | None = None) -> None:
        self.content, self.size = content, len(content)
        self.read = [] if read is None else read

    def read_into(self, offset, buffer):
        buffer[:] = self.content[offset : offset + len(buffer)]
        self.read.append(Extent(offset, len(buffer), True))

    def extents(self, start, length):
        yield Extent(start, length, True)

    def clone(self):
        return Memory(self.content, self.read)

    def close(self):
        pass


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=8), st.data())
def test_extents_cover_exactly_what_is_asked_for(gaps, data):
    areas, at = [], 0
    for gap, length in gaps:
        areas.append((at + gap, length))
        at += gap + length
    size = at + data.draw(st.integers(0, 9))
    held = {byte for start, length in areas for byte in range(start, start + length)}
    map = AllocationMap(size, areas)
    start = data.draw(st.integers(0, size))
    length = data.draw(st.integers(0, size - start))
    told = list(map.extents(start, length))
    assert [(one.start, one.end) for one in told][:1] == ([(start, told[0].end)] if told else [])
    assert sum(one.length for one in told) == length
    assert {byte for one in told if one.data for byte in range(one.start, one.end)} == held & set(
        range(start, start + length)
    )
    assert all(a.end == b.start and a.data != b.data for a, b in pairwise(told))
    assert map.data_bytes == len(held)


@pytest.mark.parametrize("areas", [[(0, 5), (4, 2)], [(5, 6)], [(6, 1), (2, 1)], [(0, -1)]])
def test_areas_out_of_place_are_refused(areas):
    with pytest.raises(BadImage, match="out of place"):
        AllocationMap(10, areas)


def test_a_mapped_disk_tells_the_map_and_reads_itself():
    disk = Mapped(Memory(b"x" * MIB), AllocationMap(MIB, [(0, 4096)]))
    assert list(disk.clone().extents(0, MIB)) == [(0, 4096, True), (4096, MIB - 4096, False)]
    buffer = bytearray(10)
    disk.read_into(MIB - 10, buffer)
    assert buffer == b"x" * 10
    with pytest.raises(ValueError, match="another disk"):
        Mapped(Memory(b"x"), AllocationMap(2, []))


def test_samples_lie_in_unused_areas_and_are_the_same_for_one_seed():
    map = AllocationMap(512 * MIB, [(10 * MIB, 100 * MIB), (300 * MIB, MIB + 512)])
    chosen = samples(map, "seed")
    assert chosen == samples(map, "seed") != samples(map, "another")
    assert all(0 < one.length <= SAMPLE_BYTES for one in chosen)
    assert all(not extent.data for one in chosen for extent in map.extents(one.start, one.length))
    assert chosen[0].start == 0
    assert chosen[-1].end == map.size
    # No stretch of a tenth of the unused bytes goes unseen.
    starts = [one.start for one in chosen]
    assert all(any(at <= start < at + 42 * MIB for start in starts) for at in range(111 * MIB, 250 * MIB, 42 * MIB))


def test_a_full_map_leaves_nothing_to_sample():
    assert samples(AllocationMap(MIB, [(0, MIB)]), "seed") == []
    assert first_contradiction(Memory(b"x" * MIB), AllocationMap(MIB, [(0, MIB)]), "seed") is None


def test_a_map_that_holds_is_believed_at_little_cost():
    content = bytearray(64 * MIB)
    content[MIB : 2 * MIB] = b"d" * MIB
    disk = Memory(bytes(content))
    assert first_contradiction(disk, AllocationMap(len(content), [(MIB, MIB)]), "seed") is None
    assert sum(one.length for one in disk.read) <= 100 * SAMPLE_BYTES


@pytest.mark.parametrize("at", [0, 40 * MIB, 64 * MIB - 1])
def test_data_in_unused_areas_is_found(at):
    content = bytearray(64 * MIB)
    end = min(len(content), at + 3 * MIB)
    content[at:end] = b"d" * (end - at)
    found = first_contradiction(Memory(bytes(content)), AllocationMap(len(content), [(MIB, MIB)]), "seed")
    assert found is not None
    assert found.start <= end
    assert found.end >= at
