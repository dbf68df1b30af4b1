# SPDX-License-Identifier: Apache-2.0
"""Blocks of zeros that a map calls data: found by a look, and never taken for zeros when they are not."""

import random

import pytest

from v2x.disks import stored
from v2x.disks.bytesource import FileSource
from v2x.disks.raw import RawReader
from v2x.disks.stored import LocalDisk, stored_blocks
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.errors import Stopped


@pytest.fixture
def disk(tmp_path):
    """A disk whose blocks are empty where the text has a dot, and hold one byte somewhere where it has a letter."""

    def make(blocks: str, short: int = 0) -> LocalDisk:
        chance = random.Random(blocks)
        path = tmp_path / "disk.raw"
        with path.open("wb") as file:
            file.truncate(len(blocks) * BLOCK_BYTES - short)
            for number, sign in enumerate(blocks):
                if sign != ".":
                    file.seek(number * BLOCK_BYTES + chance.randrange(BLOCK_BYTES - short))
                    file.write(b"\1")
        return LocalDisk(RawReader(FileSource.open(path)))

    return make


def test_only_blocks_that_hold_anything_stay(disk):
    reader = disk("..a.bcd....e.f..")
    assert list(stored_blocks(reader, range(16))) == [2, 4, 5, 6, 11, 13]
    reader.close()


@pytest.mark.parametrize("last", [".", "x"])
def test_the_short_block_at_the_end(disk, last):
    reader = disk(f"a.{last}", short=BLOCK_BYTES - 1536)
    assert list(stored_blocks(reader, [0, 1, 2])) == [0, *([2] if last == "x" else [])]
    reader.close()


def test_a_byte_that_no_look_meets_keeps_its_block(disk, tmp_path):
    reader = disk("..")
    with (tmp_path / "disk.raw").open("r+b") as file:
        file.seek(2 * BLOCK_BYTES - 1)
        file.write(b"\1")
    assert list(stored_blocks(reader, [0, 1])) == [1]
    reader.close()


def test_the_search_ends_where_it_is_stopped(disk):
    reader, asked = disk("........"), []

    def stopping():
        asked.append(len(asked))
        return len(asked) > 3

    with pytest.raises(Stopped):
        stored_blocks(reader, range(8), stopping)
    assert asked == [0, 1, 2, 3]
    reader.close()


def test_only_announced_blocks_are_told(disk):
    reader = disk("aaaa")
    assert list(stored_blocks(reader, [1, 3])) == [1, 3]
    reader.close()


def test_a_full_disk_is_looked_at_here_and_there_until_zeros_turn_up(disk, monkeypatch):
    monkeypatch.setattr(stored, "_LOOKS_AT_FIRST", 4)
    monkeypatch.setattr(stored, "_STRIDE_WHEN_POOR", 8)
    reader = disk("a" * 9 + "." * 12 + "a" * 3)
    # Poor after four; block 8 is full, block 16 is the next that is looked at.
    assert list(stored_blocks(reader, range(24))) == [*range(16), 21, 22, 23]
    reader.close()


class Counting(RawReader):
    reads = 0

    def read_into(self, offset, buffer):
        Counting.reads += 1
        super().read_into(offset, buffer)


@pytest.mark.parametrize("unit", [65536, BLOCK_BYTES // 2])
def test_maps_of_small_units_are_believed(tmp_path, unit):
    class Fine(Counting):
        block = unit

    (tmp_path / "disk.raw").write_bytes(bytes(2 * BLOCK_BYTES))
    reader = LocalDisk(Fine(FileSource.open(tmp_path / "disk.raw")))
    assert list(stored_blocks(reader, [0, 1])) == [0, 1]
    assert Counting.reads == 0
    reader.close()


def test_far_disks_are_not_looked_at(tmp_path):
    (tmp_path / "disk.raw").write_bytes(bytes(2 * BLOCK_BYTES))
    reader = Counting(FileSource.open(tmp_path / "disk.raw"))
    assert list(stored_blocks(reader, [0, 1])) == [0, 1]
    assert Counting.reads == 0
    reader.close()
