# SPDX-License-Identifier: Apache-2.0
import threading

import pytest

from v2x.disks import mapahead
from v2x.disks.extent import Extent
from v2x.disks.mapahead import MapAhead
from v2x.errors import BadImage

PIECE = 1000


class Striped:
    """A disk of which every other 300 bytes hold data; clones share what is asked of them."""

    block = 1
    size = 20 * PIECE

    def __init__(self, asked=None, broken_at=None):
        self.asked = [] if asked is None else asked
        self.broken_at = broken_at
        self.open = True

    def extents(self, start, length):
        self.asked.append((start, length, threading.get_ident()))
        if self.broken_at is not None and start <= self.broken_at < start + length:
            raise BadImage("broken table")
        at = start
        while at < start + length:
            following = min((at // 300 + 1) * 300, start + length)
            yield Extent(at, following - at, at // 300 % 2 == 0)
            at = following

    def clone(self):
        return Striped(self.asked, self.broken_at)

    def close(self):
        self.open = False


def plain():
    return list(Striped().extents(0, Striped.size))


def test_the_pieces_come_in_order_from_several_threads():
    inner = Striped()
    assert list(MapAhead(inner, workers=3, piece_bytes=PIECE).extents(0, inner.size)) == plain()
    assert sorted(start for start, _, _ in inner.asked) == list(range(0, inner.size, PIECE))
    assert threading.get_ident() not in {thread for _, _, thread in inner.asked}


def test_a_short_range_is_asked_for_directly():
    inner = Striped()
    assert list(MapAhead(inner, piece_bytes=PIECE).extents(600, 300)) == [(600, 300, True)]
    assert [thread for _, _, thread in inner.asked] == [threading.get_ident()]


def test_the_whole_map_is_remembered_by_clones_too():
    inner = Striped()
    first = MapAhead(inner, piece_bytes=PIECE)
    second = first.clone()
    assert list(first.extents(0, inner.size)) == plain()
    count = len(inner.asked)
    assert list(second.extents(0, inner.size)) == plain()
    assert list(first.clone().extents(650, 400)) == [(650, 250, True), (900, 150, False)]
    assert len(inner.asked) == count


def test_a_part_of_the_map_is_not_taken_for_the_whole():
    inner = Striped()
    reader = MapAhead(inner, workers=2, piece_bytes=PIECE)
    begun = reader.extents(0, inner.size)
    next(begun)
    begun.close()
    assert list(reader.extents(0, inner.size)) == plain()


def test_a_map_of_very_many_areas_is_asked_for_each_time(monkeypatch):
    monkeypatch.setattr(mapahead, "_MOST_AREAS", 3)
    inner = Striped()
    reader = MapAhead(inner, piece_bytes=PIECE)
    for _ in range(2):
        assert list(reader.extents(0, inner.size)) == plain()
    assert len(inner.asked) == 2 * inner.size // PIECE


def test_damage_is_raised_where_it_is_and_nothing_is_remembered():
    reader = MapAhead(Striped(broken_at=7500), workers=2, piece_bytes=PIECE)
    seen = []
    with pytest.raises(BadImage):
        seen.extend(reader.extents(0, reader.size))
    with pytest.raises(BadImage):
        list(reader.extents(0, reader.size))
