# SPDX-License-Identifier: Apache-2.0
"""What the upper layers of a chain hold of their own."""

import random
import uuid

import pytest

from v2x.disks.extent import Extent
from v2x.disks.listing import FolderListing
from v2x.disks.vhdx import open_vhdx
from v2x.simulators.hyperv.image import MIB, parent_entries, write_vhdx

IDS = [uuid.UUID(int=number) for number in range(1, 9)]


@pytest.fixture
def chain(tmp_path):
    """A base of 16 MiB, a file over it with some blocks and sectors, and one over that with a trimmed block."""
    chance = random.Random(1)
    sectors = bytearray(MIB // 512 // 8)
    sectors[0] = 0b00000110
    write_vhdx(tmp_path / "base.vhdx", 16 * MIB, {0: chance.randbytes(MIB)}, data_write=IDS[0], disk_id=IDS[7])
    write_vhdx(
        tmp_path / "one.avhdx", 16 * MIB, {number: chance.randbytes(MIB) for number in (3, 4, 9)},
        data_write=IDS[1], disk_id=IDS[7], parent=parent_entries("D:\\base.vhdx", IDS[0]), sectors={9: bytes(sectors)},
    )  # fmt: skip
    write_vhdx(
        tmp_path / "two.avhdx", 16 * MIB, {5: chance.randbytes(MIB)}, data_write=IDS[2], disk_id=IDS[7],
        parent=parent_entries("D:\\one.avhdx", IDS[1]), zeros=(11,),
    )  # fmt: skip
    listing = FolderListing(tmp_path)
    with_files = open_vhdx(listing, "two.avhdx", chain=["two.avhdx", "one.avhdx", "base.vhdx"])
    yield with_files
    with_files.close()


def areas(*pairs):
    return [Extent(start, length, True) for start, length in pairs]


def test_the_file_in_use_alone(chain):
    assert chain.held_above(1) == areas((5 * MIB, MIB), (11 * MIB, MIB))


def test_neighbours_of_two_files_are_one_area_and_sectors_count_for_themselves(chain):
    assert chain.held_above(2) == areas((3 * MIB, 3 * MIB), (9 * MIB + 512, 1024), (11 * MIB, MIB))


def test_nothing_lies_above_the_file_in_use(chain):
    assert chain.held_above(0) == []
