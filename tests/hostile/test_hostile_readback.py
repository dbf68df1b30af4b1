# SPDX-License-Identifier: Apache-2.0
"""A host whose VHD export was made to harm: the start of the stream is refused, or understood within the disk."""

import struct
import sys
from array import array
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2x.disks.stream.vhd import VhdLayout
from v2x.model.units import GIB, MIB
from v2x.target.xapi.vhd_table import BITMAP_BYTES, BLOCK_BYTES, SECTOR, Damaged, NotForward, read_table

SIZE = 40 * BLOCK_BYTES
HEAD = VhdLayout(SIZE, [0, 3, 4, 39], uuid=UUID(int=7), timestamp=0).head()


class Ended(Exception):
    pass


class Stream:
    """Forward only, and never more at once than a page."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, position: int, count: int) -> bytes:
        assert position >= self.at
        assert count <= MIB
        if position + count > len(self.data):
            raise Ended
        self.at = position + count
        return self.data[position : self.at]


def resum(head: bytearray) -> bytes:
    for at, length, check in ((0, 512, 64), (512, 1024, 36)):
        head[at + check : at + check + 4] = bytes(4)
        struct.pack_into(">I", head, at + check, ~sum(head[at : at + length]) & 0xFFFFFFFF)
    return bytes(head)


def check(head: bytes) -> None:
    try:
        table = read_table(Stream(head).take, SIZE)
    except (Damaged, NotForward, Ended):
        return
    places = [table.position(block) for block in range(40)]
    there = [place for place in places if place >= 0]
    assert all(two - one >= BITMAP_BYTES + BLOCK_BYTES for one, two in pairwise(there))
    assert not there or there[0] >= 1536 + 160
    assert (table.last < 0) == (not there)
    assert sum(extent.length for extent in table.extents(0, SIZE)) == SIZE


@given(st.lists(st.tuples(st.integers(0, len(HEAD) - 1), st.integers(0, 255)), max_size=6), st.booleans())
def test_changed_bytes(changes: list[tuple[int, int]], sums_hold: bool) -> None:
    head = bytearray(HEAD)
    for at, value in changes:
        head[at] = value
    check(resum(head) if sums_hold else bytes(head))


@given(
    st.sampled_from([(">Q", 16), (">Q", 48), (">I", 60), (">Q", 528), (">I", 536), (">I", 540), (">I", 544)]),
    st.one_of(st.integers(0, 4096), st.integers(0, 2**64 - 1)),
)
def test_changed_fields(field: tuple[str, int], value: int) -> None:
    head = bytearray(HEAD)
    struct.pack_into(field[0], head, field[1], value % (1 << (64 if field[0] == ">Q" else 32)))
    check(resum(head))


@given(st.lists(st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 200_000)), min_size=40, max_size=40))
def test_any_block_table(entries: list[int]) -> None:
    check(HEAD[:1536] + struct.pack(">40I", *entries) + HEAD[1536 + 160 :])


@given(st.binary(max_size=3000))
def test_anything(data: bytes) -> None:
    check(data)


def test_a_table_for_more_than_there_can_be_is_refused_unread() -> None:
    head = bytearray(HEAD)
    struct.pack_into(">I", head, 540, 0xFFFFFFFF)
    stream = Stream(resum(head))
    with pytest.raises(Damaged, match="4,294,967,295 entries"):
        read_table(stream.take, SIZE)
    assert stream.at == 1536


def test_the_largest_table_takes_four_bytes_for_each_block() -> None:
    size = 2040 * GIB
    head = bytearray(VhdLayout(size, range(0, 1_000_000, 2), uuid=UUID(int=7), timestamp=0).head())
    table = read_table(Stream(bytes(head)).take, size)
    assert len(table.sectors) == size // BLOCK_BYTES
    assert sys.getsizeof(table.sectors) <= 5 * len(table.sectors)
    assert table.last == 999_998
    assert table.sectors[:3] == array("I", [table.sectors[0], 0xFFFFFFFF, table.sectors[0] + 4097])
    assert table.position(2) - table.position(0) == 4097 * SECTOR
