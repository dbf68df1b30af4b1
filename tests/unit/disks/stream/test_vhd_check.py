# SPDX-License-Identifier: Apache-2.0
"""A head that a host would refuse is refused here, and one that it takes is taken."""

import random
import struct
from uuid import UUID

import pytest

from v2x.disks.stream.vhd import VhdLayout, checksum
from v2x.disks.stream.vhd_check import check_head
from v2x.errors import TargetError
from v2x.model.units import GIB, MIB

ID = UUID(int=1)


def layout(size=20 * MIB, blocks=(0, 3, 9)):
    return VhdLayout(size, blocks, uuid=ID, timestamp=0)


@pytest.mark.parametrize(
    ("size", "blocks"),
    [(512, ()), (2 * MIB, (0,)), (20 * MIB, (0, 3, 9)), (20 * MIB + 512, range(11)), (2040 * GIB, (0, 1044479))],
)
def test_what_is_made_is_taken(size, blocks):
    made = layout(size, blocks)
    check_head(made.head(), made.content_length)


def resealed(head, start, end, at):
    part = head[start:end]
    part[at : at + 4] = bytes(4)
    part[at : at + 4] = struct.pack(">I", checksum(bytes(part)))
    head[start:end] = part


@pytest.mark.parametrize(
    ("at", "value", "problem"),
    [
        (0, b"C", "footer is damaged"),
        (70, b"\xff", "footer is damaged"),
        (63, b"\x02", "dynamic"),
        (512, b"C", "header is damaged"),
        (512 + 30, b"\xff", "too short|where it should|block size|damaged"),
        (1536, struct.pack(">I", 5), "ascending"),
        (1536 + 12, b"\xff\xff\xff\xff", "ascending"),
        (1536 + 4, struct.pack(">I", 4), "ascending"),
    ],
)
def test_each_rule_is_named(at, value, problem):
    made = layout()
    head = bytearray(made.head())
    head[at : at + len(value)] = value
    if at == 63:
        resealed(head, 0, 512, 64)
    with pytest.raises(TargetError, match=problem):
        check_head(bytes(head), made.content_length)


@pytest.mark.parametrize("off", [-1, 1, 512, -512])
def test_a_length_that_is_not_exact(off):
    made = layout()
    with pytest.raises(TargetError, match="its length is not"):
        check_head(made.head(), made.content_length + off)


def test_whatever_is_damaged_ends_in_an_error_of_its_own_kind():
    made, rng = layout(), random.Random(5)
    for _ in range(400):
        head = bytearray(made.head())
        for _ in range(rng.randint(1, 4)):
            head[rng.randrange(len(head))] = rng.randrange(256)
        try:
            check_head(bytes(head[: rng.choice((len(head), rng.randrange(len(head))))]), made.content_length)
        except TargetError:
            continue
