# SPDX-License-Identifier: Apache-2.0
"""A head that a host would refuse is refused here, and one that it takes is taken."""

import struct

import pytest

from v2x.disks.stream.qcow2 import Qcow2Layout
from v2x.disks.stream.qcow2_check import check_head
from v2x.errors import TargetError
from v2x.model.units import GIB, KIB, MIB, TIB

CLUSTER = 64 * KIB


def layout(size=20 * MIB, blocks=(0, 3, 9)):
    return Qcow2Layout(size, blocks)


@pytest.mark.parametrize(
    ("size", "blocks"),
    [(64 * KIB, ()), (64 * KIB, (0,)), (2 * MIB, (0,)), (20 * MIB, (0, 3, 9)), (20 * MIB + 64 * KIB, range(11)),
     (4 * TIB, (0, 1, 2_000_000)), (3 * GIB, range(0, 1536, 2))],
)  # fmt: skip
def test_what_is_made_is_taken(size, blocks):
    made = layout(size, blocks)
    check_head(made.head(), made.content_length)


def damaged(at, value):
    made = layout()
    head = bytearray(b"".join(made.head()))
    head[at : at + len(value)] = value
    return made, bytes(head)


@pytest.mark.parametrize(
    ("at", "value", "problem"),
    [
        (0, b"QFX\xfb", "damaged"),
        (4, struct.pack(">I", 2), "damaged"),
        (8, struct.pack(">Q", 512), "asks for what"),
        (20, struct.pack(">I", 30), "cluster size"),
        (24, struct.pack(">Q", 20 * MIB + 512), "whole number of clusters"),
        (24, struct.pack(">Q", 20 * TIB), "L1 table is too short"),
        (32, struct.pack(">I", 1), "asks for what"),
        (40, struct.pack(">Q", 0), "not in order"),
        (48, struct.pack(">Q", 3 * CLUSTER), "not in order"),
        (60, struct.pack(">I", 1), "asks for what"),
        (72, struct.pack(">Q", 4), "asks for what"),
        (3 * CLUSTER, struct.pack(">Q", 9 * CLUSTER), "L2 tables are not in order"),
        (4 * CLUSTER, struct.pack(">Q", 6 * CLUSTER), "data is not in order"),
        (4 * CLUSTER, struct.pack(">Q", 5 * CLUSTER | 1), "cannot take"),
        (4 * CLUSTER, struct.pack(">Q", 5 * CLUSTER | 1 << 62), "cannot take"),
        (4 * CLUSTER + 8 * 40, struct.pack(">Q", 5 * CLUSTER), "data is not in order"),
    ],
)
def test_what_a_host_would_refuse_is_refused_before_it_is_sent(at, value, problem):
    made, head = damaged(at, value)
    with pytest.raises(TargetError, match=problem):
        check_head([head], made.content_length)


def test_lengths_must_be_exact():
    made = layout()
    whole = b"".join(made.head())
    with pytest.raises(TargetError, match="announced"):
        check_head([whole], made.content_length + CLUSTER)
    with pytest.raises(TargetError, match="another length"):
        check_head([whole, b"x"], made.content_length)
    for end in (0, 50, CLUSTER, 3 * CLUSTER + 4, 4 * CLUSTER + 8):
        with pytest.raises(TargetError):
            check_head([whole[:end]], made.content_length)


def test_pieces_may_be_cut_anywhere():
    made = layout()
    whole = b"".join(made.head())
    for step in (1000, 4097, CLUSTER + 1):
        check_head((whole[at : at + step] for at in range(0, len(whole), step)), made.content_length)
