# SPDX-License-Identifier: Apache-2.0
"""Damaged VHDs: refused or read within bounds; damage to what is checksummed is always refused. Fixed seeds."""

import random
import struct
import uuid
from contextlib import closing
from itertools import islice
from typing import Any

import pytest

from tests.hyperv_images import Vhd
from v2x.disks.vhd import describe_vhd, open_vhd
from v2x.errors import InputRefused

MIB = 1 << 20
BASE, CHILD = uuid.UUID(int=51), uuid.UUID(int=52)
INTERESTING = [0, 1, 3, 4096, 1 << 16, 1 << 31, (1 << 32) - 2, (1 << 32) - 1, 1 << 62, (1 << 64) - 1]


def read(images: Any, name: str) -> bytes:
    describe_vhd(images.listing, name)
    with closing(open_vhd(images.listing, name)) as reader:
        begin = bytearray(min(reader.size, MIB))
        reader.read_into(0, begin)
        end = bytearray(min(reader.size, 4096))
        reader.read_into(reader.size - len(end), end)
        at = 0
        for extent in islice(reader.extents(0, reader.size), 10_000):
            assert extent.start == at
            at = extent.end
        return bytes(begin)


@pytest.fixture
def files(images: Any) -> dict[str, bytes]:
    raw = random.Random(1).randbytes(300_000 // 512 * 512)
    block = 65536
    Vhd(raw=raw, sectors=dict.fromkeys(range(5)), block=block, unique=BASE).write(images.path("base.vhd"))
    link = (BASE, 700_000_000, "base.vhd")
    child = Vhd(raw=raw, sectors={0: {1, 9}, 3: None}, block=block, unique=CHILD, parent=link)
    return {"dynamic": images.path("base.vhd").read_bytes(), "differencing": child.packed()}


@pytest.mark.parametrize("variant", ["dynamic", "differencing"])
def test_200_random_damages(images: Any, files: dict[str, bytes], variant: str) -> None:
    original = files[variant]
    refused: dict[str, list[bool]] = {}
    for seed in range(200):
        chance = random.Random(seed)
        kind, begin, end = chance.choice(
            [
                ("footer", len(original) - 512, len(original)),
                ("its copy", 0, 512),
                ("header", 512, 1536),
                ("table", 1536, 1536 + 20),
                ("any", 0, len(original)),
                ("cut", 0, len(original)),
            ]
        )
        file = bytearray(original)
        if kind == "cut":
            del file[chance.randrange(len(file)) :]
        else:
            width = chance.choice([1, 2, 4, 8])
            at = chance.randrange(begin, end - width + 1)
            value = chance.choice([chance.choice(INTERESTING), chance.getrandbits(64)])
            data = struct.pack(">Q", value)[-width:]
            file[at : at + width] = bytes(byte ^ 0x5A for byte in data) if file[at : at + width] == data else data
        images.path("x.vhd").write_bytes(file)
        try:
            read(images, "x.vhd")
        except InputRefused as problem:
            assert len(str(problem)) > 15
            refused.setdefault(kind, []).append(True)
        else:
            refused.setdefault(kind, []).append(False)
    for kind in ("footer", "its copy", "header", "cut"):
        assert all(refused[kind]), kind
    assert sum(refused["table"]) > len(refused["table"]) // 2
