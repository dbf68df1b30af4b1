# SPDX-License-Identifier: Apache-2.0
"""Exports that lie, never end, or want all memory."""

import itertools
import struct
import tracemalloc
import zlib

import pytest

from tests.images import SECTOR, sparse_header
from v2x.disks.vmdk.flow import GrainFlow
from v2x.disks.vmdk.flowing import FlowingReader
from v2x.errors import BadImage, Unsupported, V2xError

GRAIN = 65536
SIZE = 64 * GRAIN
AT_END = (1 << 64) - 1


def header(*, capacity=SIZE // SECTOR, grain=128, directory=AT_END, overhead=1, flags=0x30001):
    return sparse_header(3, flags, capacity, grain, 0, 0, directory, overhead)


def marker(value, kind):
    return struct.pack("<QII", value, 0, kind).ljust(SECTOR, b"\0")


def grain(number, data=b"x" * GRAIN, size=None):
    packed = zlib.compress(data)
    raw = struct.pack("<QI", number * 128, len(packed) if size is None else size) + packed
    return raw + bytes(-len(raw) % SECTOR)


def table(entries):
    return marker(4, 1) + struct.pack("<512I", *[entries.get(index, 0) for index in range(512)])


class Pieces:
    """A Flow over pieces that may go on for ever; `given` counts their bytes."""

    def __init__(self, pieces):
        self._pieces, self._left, self.given = iter(pieces), b"", 0
        self.stream = GrainFlow(self.read, "hostile.vmdk")

    def read(self, view):
        if not self._left:
            self._left = next(self._pieces, b"")
        count = min(len(view), len(self._left))
        view[:count] = self._left[:count]
        self._left = self._left[count:]
        self.given += count
        return count

    def close(self):
        pass


def whole():
    """A small stream as it should be: two grains."""
    first, second = grain(3), grain(7)
    at = 1 + (len(first) + len(second)) // SECTOR
    entries = {3: 1, 7: 1 + len(first) // SECTOR}
    directory = struct.pack("<I", at + 1).ljust(SECTOR, b"\0")
    where = at + 6
    end = [marker(1, 2), directory, marker(1, 3), header(directory=where), bytes(SECTOR)]
    return [header(), first, second, table(entries), *end]


def reader(pieces):
    return FlowingReader(lambda: Pieces(pieces), SIZE, "hostile.vmdk", attempts=1, sleep=lambda _: None)


def read_all(pieces):
    made = reader(pieces)
    made.learn_map()
    out = bytearray(SIZE)
    made.read_into(0, out)
    return bytes(out)


def test_the_small_stream_is_good():
    expected = bytearray(SIZE)
    for number in (3, 7):
        expected[number * GRAIN : (number + 1) * GRAIN] = b"x" * GRAIN
    assert read_all(whole()) == expected


def replaced(index, *new):
    pieces = whole()
    pieces[index : index + 1] = new
    return pieces


CASES = {
    "a table that names another grain": lambda: replaced(3, table({3: 1, 8: 2})),
    "a table without one of its grains": lambda: replaced(3, table({3: 1})),
    "no table": lambda: replaced(3),
    "a directory that names another table": lambda: replaced(5, struct.pack("<I", 99).ljust(SECTOR, b"\0")),
    "no directory": lambda: whole()[:4] + whole()[6:],
    "a footer with another directory": lambda: replaced(7, header(directory=3)),
    "a footer with another size": lambda: replaced(7, header(capacity=SIZE // SECTOR - 8, directory=10)),
    "a footer whose directory is in a footer": lambda: replaced(7, header()),
    "no footer": lambda: [*whole()[:6], bytes(SECTOR)],
    "two footers": lambda: [*whole()[:8], *whole()[6:]],
    "an unknown marker": lambda: replaced(4, marker(1, 9)),
    "a grain outside": lambda: replaced(2, grain(64)),
    "a grain between grains": lambda: replaced(2, struct.pack("<QI", 7 * 128 + 1, 9).ljust(SECTOR, b"\0")),
    "a grain twice": lambda: replaced(2, grain(3)),
    "grains in another order": lambda: replaced(2, grain(1)),
    "a grain after the directory": lambda: [*whole()[:6], grain(9), *whole()[6:]],
    "a grain that claims gigabytes": lambda: replaced(2, grain(7, size=1 << 31)),
    "first grain beyond any header": lambda: replaced(0, header(overhead=1 << 40)),
    "no markers": lambda: replaced(0, header(flags=1)),
    "no header at all": lambda: replaced(0, bytes(SECTOR)),
}


@pytest.mark.parametrize("name", list(CASES))
def test_what_contradicts_itself_is_refused(name):
    with pytest.raises((BadImage, Unsupported)):
        read_all(CASES[name]())


def test_a_bomb_is_refused_at_its_first_grain_and_takes_no_memory():
    bomb = zlib.compress(bytes(256 << 20), 9)[: 2 * GRAIN]
    raw = struct.pack("<QI", 7 * 128, len(bomb)) + bomb
    pieces = replaced(2, raw + bytes(-len(raw) % SECTOR))
    made = FlowingReader(lambda: Pieces(pieces), SIZE, "hostile.vmdk", attempts=1)
    tracemalloc.start()
    with pytest.raises(BadImage, match="inflates to more"):
        made.read_into(7 * GRAIN, bytearray(GRAIN))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize("piece", [table({}), marker(1, 3) + header(directory=5), grain(3)])
def test_a_stream_that_never_ends_is_ended(piece):
    flow = []

    def begin():
        flow.append(Pieces(itertools.chain([header()], itertools.repeat(piece))))
        return flow[-1]

    made = FlowingReader(begin, SIZE, "hostile.vmdk", attempts=1, sleep=lambda _: None)
    with pytest.raises(V2xError):
        made.learn_map()
    assert flow[0].given < 4 << 20


def test_a_disk_of_too_many_grains_is_refused_before_memory_is_taken():
    capacity = (64 << 40) // SECTOR
    with pytest.raises(Unsupported, match="grains"):
        Pieces([header(capacity=capacity, grain=8)])
