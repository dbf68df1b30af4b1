# SPDX-License-Identifier: Apache-2.0
"""Blocks that turn out to be zeros when they are read, where no map told so before."""

import random

from tests.unit.migrate.conftest import MemoryReader
from v2x.disks.extent import Extent
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.migrate.copy import copy_disk
from v2x.migrate.observe import Silent
from v2x.target.interface import Claim, ClaimedDisk

CONTENT = random.Random(1).randbytes(BLOCK_BYTES) + bytes(2 * BLOCK_BYTES) + b"end" + bytes(509)


class Unmapped(MemoryReader):
    """A disk that cannot tell what is in use."""

    def extents(self, start, length):
        yield Extent(start, length, True)


class Writer:
    block = BLOCK_BYTES
    sent_bytes = segments = 0

    def __init__(self):
        self.written = []

    def write(self, number, data):
        self.written.append((number, bytes(data)))

    def commit(self):
        return len(CONTENT)

    def abort(self): ...


class Leaving(Writer):
    def __init__(self):
        super().__init__()
        self.left = []

    def leave_out(self, number, data):
        assert not any(data)
        self.left.append(number)


class Place:
    def __init__(self, writer):
        self.made = writer

    def writer(self, claim, disk, blocks, point):
        assert list(blocks) == [0, 1, 2, 3]
        return self.made


def copied(writer):
    disk = ClaimedDisk(source_disk="d", id="v", size_bytes=len(CONTENT))
    claim = Claim(tag="t", id="m", name="n", disks=(disk,))
    return copy_disk(Unmapped(CONTENT), Place(writer), claim, disk, "p", Silent())


def test_zeros_are_left_out_where_the_writer_can_and_only_whole_blocks_of_them():
    writer = Leaving()
    done = copied(writer)
    assert writer.left == [1, 2]
    assert [number for number, _ in writer.written] == [0, 3]
    assert done.empty == 2
    assert len(done.digests) == 4


def test_zeros_are_written_where_the_writer_cannot():
    writer = Writer()
    copied(writer)
    assert b"".join(data for _, data in writer.written) == CONTENT
