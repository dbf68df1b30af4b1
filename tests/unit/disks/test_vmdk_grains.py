# SPDX-License-Identifier: Apache-2.0
"""Grain tables: runs, laziness, and memory that does not grow with the disk."""

import random
import struct
import tracemalloc
from array import array
from itertools import islice
from typing import Any

import pytest

from v2x.disks.runs import stepping_runs
from v2x.disks.vmdk import open_vmdk
from v2x.errors import BadImage

TIB = 1 << 40


def plain_runs(entries: Any, special: dict[int, int], step: int) -> list[tuple[int, int]]:
    """The definition, entry by entry."""
    runs: list[tuple[int, int]] = []
    for index, value in enumerate(entries):
        if runs:
            begin, count = runs[-1]
            if entries[index - 1] + special.get(entries[begin], step) == value:
                runs[-1] = (begin, count + 1)
                continue
        runs.append((index, 1))
    return runs


@pytest.mark.parametrize("code", ["I", "Q"])
@pytest.mark.parametrize("step", [1, 128])
def test_runs_are_those_of_the_definition(code: str, step: int) -> None:
    chance = random.Random(step)
    top = 2**32 if code == "I" else 2**64
    for _ in range(60):
        values: list[int] = []
        while len(values) < 4096:
            length = chance.choice([1, 2, 3, 200, 256, 257, 513, 2000])
            kind = chance.randrange(5)
            first = chance.randrange(top)
            if kind == 0:
                values += [0] * length
            elif kind == 1:
                values += [1] * length
            elif kind == 2:
                values += [chance.randrange(top) for _ in range(min(length, 20))]
            elif kind == 3:
                values += [value % top for value in range(first, first + length * step, step)]
            else:
                values += list(range(top - length * step, top, step))[:length]
        entries = array(code, values[:4096])
        special = {0: 0, 1: 0}
        assert list(stepping_runs(entries, special, step)) == plain_runs(entries, special, step)


@pytest.mark.parametrize("wrong", [1, 255, 256, 300, 511, 4095])
def test_one_wrong_entry_in_a_long_run_is_found(wrong: int) -> None:
    entries = array("I", range(1000, 5096))
    entries[wrong] += 7
    runs = list(stepping_runs(entries, {0: 0}, 1))
    assert runs[0] == (0, wrong)
    assert runs[1] == (wrong, 1)
    entries = array("I", range(1000, 5096))
    # The last of 256 is right and two before it are exchanged: comparing the ends alone would not tell.
    entries[100], entries[101] = entries[101], entries[100]
    assert next(stepping_runs(entries, {0: 0}, 1)) == (0, 100)


@pytest.fixture
def giant(images: Any) -> str:
    """2 TiB in which every table is there and alternates stored and absent grains: the worst a table can be."""
    name = "giant.vmdk"
    tables, tables_at = 65536, 64 + 512
    grain_at = tables_at + 4
    images.descriptor(name, [f'RW {2 * TIB // 512} SPARSE "{name}"'], kind="monolithicSparse")
    text = images.path(name).read_bytes()
    header = struct.pack(
        "<4sIIQQQQIQQQB4sH", b"KDMV", 1, 3, 2 * TIB // 512, 128, 1, 20, 512, 0, 64, 1024, 0, b"\n \r\n", 0
    )
    with images.path(name).open("wb") as file:
        file.write(header.ljust(512, b"\0") + text)
        file.seek(64 * 512)
        file.write(array("I", [tables_at]).tobytes() * tables)
        file.write(array("I", [grain_at, 0]).tobytes() * 256)
        file.write(b"G" * 65536)
    return name


def test_two_tebibytes_need_a_few_mebibytes(images: Any, giant: str) -> None:
    reader = open_vmdk(images.listing, giant)
    tracemalloc.start()
    chance = random.Random(3)
    buffer = bytearray(1024)
    for _ in range(300):
        offset = chance.randrange(2 * TIB // 131072) * 131072 + 65536 - 512
        reader.read_into(offset, buffer)
        assert buffer == b"G" * 512 + bytes(512)
    assert len(list(islice(reader.extents(TIB, TIB), 20000))) == 20000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    reader.close()
    assert peak < 4 << 20


def test_tables_are_read_when_needed_and_damage_elsewhere_does_not_matter(images: Any, giant: str) -> None:
    images.patch(giant, 64 * 512 + 4 * 40000, struct.pack("<I", 0xFFFFFFF0))
    reader = open_vmdk(images.listing, giant)
    reader.read_into(0, bytearray(4096))
    with pytest.raises(BadImage, match="grain table"):
        reader.read_into(40000 * 512 * 65536, bytearray(512))
    with pytest.raises(BadImage, match="grain table"):
        list(reader.extents(40000 * 512 * 65536, 512))
    reader.close()


def test_an_empty_giant_is_walked_at_once(images: Any) -> None:
    images.cowd("c.vmdk", b"")
    extent = images.path("c-delta.vmdk")
    sectors = 2 * TIB // 512 - 8
    entries = -(-sectors // 4096)
    extent.write_bytes(struct.pack("<4s7I", b"COWD", 1, 3, sectors, 1, 4, entries, 0).ljust(2048, b"\0"))
    with extent.open("r+b") as file:
        file.truncate(2048 + entries * 4)
    images.descriptor("c.vmdk", [f'RW {sectors} VMFSSPARSE "c-delta.vmdk"'], kind="vmfsSparse")
    reader = open_vmdk(images.listing, "c.vmdk")
    assert [tuple(extent) for extent in reader.extents(0, reader.size)] == [(0, sectors * 512, False)]
    reader.close()


def test_entries_beyond_the_end_of_the_disk_mean_nothing(images: Any) -> None:
    images.sparse("x.vmdk", b"d" * 70_144)
    at = 33 * 512
    assert struct.unpack("<3I", images.path("x.vmdk").read_bytes()[at : at + 12]) == (128, 256, 0)
    images.patch("x.vmdk", at + 8, struct.pack("<I", 0xFFFFFFF0))
    reader = open_vmdk(images.listing, "x.vmdk")
    buffer = bytearray(reader.size)
    reader.read_into(0, buffer)
    assert buffer == b"d" * 70_144
    reader.close()
