# SPDX-License-Identifier: Apache-2.0
"""Damaged and made-up VHDX files: refused with a reason or read within bounds, without a hang or large memory.

Row 5 of the threat table. The damages are random with fixed seeds, so that each is the same in every run.
"""

import random
import struct
import time
import tracemalloc
import uuid
from collections.abc import Iterable
from itertools import islice
from typing import Any

import pytest

from tests.hyperv_images import (
    ABSENT,
    BAT_AT,
    HEADERS_AT,
    LOG_AT,
    METADATA_AT,
    REGIONS_AT,
    ZERO,
    LogEntry,
    Vhdx,
    linkage,
    put_log,
    region_table,
    sealed,
)
from v2x.disks.extent import Extent
from v2x.disks.interface import Buffer
from v2x.disks.vhdx import describe_vhdx, open_vhdx
from v2x.errors import BadImage, InputRefused, Unsupported

MIB = 1 << 20
BASE, CHILD = uuid.UUID(int=31), uuid.UUID(int=32)
LOG = bytes(range(16))
DAMAGES = 400


class Memory:
    """A file in memory that fails the test when it is read outside of itself."""

    def __init__(self, name: str, content: bytes | bytearray) -> None:
        self.name = name
        self.content = memoryview(content)

    @property
    def size(self) -> int:
        return len(self.content)

    def read_into(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer)
        assert 0 <= offset <= offset + len(view) <= self.size, "read outside the file"
        view[:] = self.content[offset : offset + len(view)]

    def extents(self, start: int, length: int) -> Iterable[Extent]:
        return iter([Extent(start, length, True)])

    def clone(self) -> "Memory":
        return Memory(self.name, self.content)

    def close(self) -> None: ...


class Files:
    """A listing of files in memory."""

    def __init__(self, **contents: bytes | bytearray) -> None:
        self.contents = {name.replace("_", "."): content for name, content in contents.items()}

    def names(self) -> list[str]:
        return list(self.contents)

    def open(self, name: str) -> Any:
        return Memory(name, self.contents[name])


def read(files: Files, name: str) -> bytes:
    """The disk's first MiB, its end, and its extents; whatever is not an InputRefused fails the test."""
    describe_vhdx(files, name)
    reader = open_vhdx(files, name)
    begin = bytearray(min(reader.size, 4 * MIB))
    reader.read_into(0, begin)
    end = bytearray(min(reader.size, 70_000))
    reader.read_into(reader.size - len(end), end)
    at = 0
    for extent in islice(reader.extents(0, reader.size), 10_000):
        assert extent.start == at
        at = extent.end
    reader.close()
    return bytes(begin)


@pytest.fixture(scope="module")
def raw() -> bytes:
    return random.Random(1).randbytes(3 * MIB) + bytes(MIB)


@pytest.fixture(scope="module")
def base(raw: bytes) -> bytes:
    return bytes(Vhdx(raw=raw, data_write=BASE, shuffle=1).packed())


@pytest.fixture(scope="module")
def child(raw: bytes) -> bytes:
    states = {0: ABSENT, 2: ABSENT, 3: ZERO}
    sectors = {1: set(range(0, 2048, 3))}
    return bytes(
        Vhdx(raw=raw, data_write=CHILD, parent=linkage(BASE), states=states, sectors=sectors).packed(),
    )


@pytest.fixture(scope="module")
def dirty(base: bytes) -> bytes:
    file = bytearray(base)
    sector = bytes(file[BAT_AT : BAT_AT + 4096])
    file[BAT_AT : BAT_AT + 4096] = bytes(4096)
    changes: list[tuple[int, bytes | int]] = [(BAT_AT, sector), (BAT_AT + 4096, 4096)]
    put_log(file, [(0, LogEntry(sequence=5, tail=0, changes=changes, flushed=len(file), last=len(file)))], LOG)
    return bytes(file)


INTERESTING = [0, 1, 7, 255, 4096, 1 << 16, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 62, (1 << 64) - 1]


def overwritten(chance: random.Random, file: bytearray, begin: int, end: int) -> None:
    """One field of a random width, with a random or an extreme value that differs from what is there."""
    width = chance.choice([1, 2, 4, 8])
    at = chance.randrange(begin, end - width + 1) // width * width
    at = max(at, begin)
    value = chance.choice([chance.choice(INTERESTING), chance.getrandbits(64)])
    data = struct.pack("<Q", value)[:width]
    if file[at : at + width] == data:
        data = bytes(byte ^ 0xA5 for byte in data)
    file[at : at + width] = data


def damaged_at(file: bytearray, chance: random.Random, places: Iterable[int], length: int) -> None:
    """One field in each copy of a structure."""
    for place in places:
        overwritten(chance, file, place, place + length)


def test_400_random_damages(raw: bytes, base: bytes, child: bytes, dirty: bytes) -> None:
    """Checksummed structures are refused, or their other copy is used; the rest is refused or read within bounds."""
    outcomes: dict[str, list[int]] = {}
    for seed in range(DAMAGES):
        chance = random.Random(seed)
        kind = ["headers", "header", "regions", "region", "log", "metadata", "table", "bitmap entry", "any", "cut"][
            seed % 10
        ]
        file = bytearray(dirty if kind == "log" else child if kind == "bitmap entry" or seed % 20 > 9 else base)
        expected = None
        match kind:
            case "headers":
                damaged_at(file, chance, HEADERS_AT, 4096)
            case "header":
                damaged_at(file, chance, [chance.choice(HEADERS_AT)], 4096)
                expected = raw
            case "regions":
                damaged_at(file, chance, REGIONS_AT, 64 << 10)
            case "region":
                damaged_at(file, chance, [chance.choice(REGIONS_AT)], 64 << 10)
                expected = raw
            case "log":
                damaged_at(file, chance, [LOG_AT], 8192)
            case "metadata":
                begin = METADATA_AT + chance.choice([0, 64 << 10])
                overwritten(chance, file, begin, begin + 230)
            case "table":
                overwritten(chance, file, BAT_AT, BAT_AT + 32)
            case "bitmap entry":
                overwritten(chance, file, BAT_AT + 4096 * 8, BAT_AT + 4097 * 8)
            case "any":
                for _ in range(20):
                    overwritten(chance, file, 0, len(file))
            case "cut":
                del file[chance.randrange(len(file)) :]
        begun = time.monotonic()
        try:
            found = read(Files(x_vhdx=file, base_vhdx=base), "x.vhdx")
        except InputRefused as refused:
            assert len(str(refused)) > 15, kind
            assert "\n" not in str(refused)
            outcomes.setdefault(kind, []).append(0)
        else:
            outcomes.setdefault(kind, []).append(1)
            assert expected is None or found == expected, (kind, seed)
        assert time.monotonic() - begun < 20
    for kind in ("headers", "regions", "log"):
        assert not any(outcomes[kind]), f"damaged {kind} were accepted"
    for kind in ("header", "region"):
        assert all(outcomes[kind]), f"one damaged {kind} was not made up for by its copy"
    for kind in ("metadata", "table", "bitmap entry", "cut"):
        assert outcomes[kind].count(0) > len(outcomes[kind]) // 3, kind


def test_a_damaged_table_that_is_accepted_is_sound(base: bytes) -> None:
    """By another reading of the rules: whole blocks within the file, apart from one another and from all else."""
    accepted = 0
    for seed in range(200):
        chance = random.Random(seed)
        file = bytearray(base)
        number = chance.randrange(4)
        value = chance.choice(
            [chance.getrandbits(64), chance.randrange(16) << 20 | chance.randrange(8), chance.randrange(8)]
        )
        struct.pack_into("<Q", file, BAT_AT + number * 8, value)
        try:
            read(Files(x_vhdx=file), "x.vhdx")
        except InputRefused:
            continue
        accepted += 1
        taken = set(range(4))
        for entry in struct.unpack_from("<4Q", file, BAT_AT):
            assert entry & 7 not in {4, 5, 7}
            assert entry & 0xFFFF8 == 0
            if entry & 7 == 6:
                assert entry >> 20 not in taken
                assert (entry >> 20) * MIB + MIB <= len(file)
                taken.add(entry >> 20)
    assert 10 < accepted < 190


def item(file: bytearray, guid: str) -> int:
    """Where the value of a metadata item lies."""
    entry = file.index(uuid.UUID(guid).bytes_le, METADATA_AT)
    return METADATA_AT + int(struct.unpack_from("<I", file, entry + 16)[0])


@pytest.mark.parametrize("block_bytes", [MIB, 256 * MIB])
def test_a_disk_of_64_tib_in_a_small_file(base: bytes, block_bytes: int) -> None:
    """Its table would be 512 MiB, which is told from the region's length before anything is allocated."""
    file = bytearray(base)
    struct.pack_into("<Q", file, item(file, "2fa54224-cd1b-4876-b211-5dbed83bf4b8"), 64 << 40)
    struct.pack_into("<I", file, item(file, "caa16737-fa36-4d43-b3b6-33f0aa44e76b"), block_bytes)
    tracemalloc.start()
    try:
        with pytest.raises(BadImage):
            open_vhdx(Files(x_vhdx=file), "x.vhdx")
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


def test_a_table_of_a_disk_of_many_tib_takes_little_memory(images: Any) -> None:
    size = 1 << 40
    disk = Vhdx(raw=b"", size=size, far={1_000_000: b"\x5a" * 512}, data_write=BASE)
    disk.write(images.path("x.vhdx"))
    tracemalloc.start()
    reader = open_vhdx(images.listing, "x.vhdx")
    data = [extent for extent in reader.extents(0, size) if extent.data]
    buffer = bytearray(1024)
    reader.read_into(1_000_000 * MIB - 512, buffer)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    reader.close()
    assert data == [Extent(1_000_000 * MIB, 65536, True)]
    assert buffer == bytes(512) + b"\x5a" * 512
    assert peak < 24 * MIB


@pytest.mark.parametrize("length", [1 << 31, (1 << 32) - MIB])
def test_a_region_claims_gibibytes(base: bytes, length: int) -> None:
    file = bytearray(base)
    for at in REGIONS_AT:
        file[at : at + (64 << 10)] = region_table(length)
    with pytest.raises(BadImage, match="outside the file"):
        open_vhdx(Files(x_vhdx=file), "x.vhdx")


def test_a_log_claims_gibibytes(base: bytes) -> None:
    file = bytearray(base)
    for at in HEADERS_AT:
        head = file[at : at + 4096]
        head[48:64] = LOG
        struct.pack_into("<I", head, 68, (1 << 32) - MIB)
        file[at : at + 4096] = sealed(head)
    with pytest.raises(BadImage, match="outside the file"):
        open_vhdx(Files(x_vhdx=file), "x.vhdx")


@pytest.mark.parametrize("at", [0, MIB - 4096, METADATA_AT, BAT_AT, MIB + 512])
def test_the_log_lies_on_top_of_something_else(base: bytes, at: int) -> None:
    file = bytearray(base)
    for place in HEADERS_AT:
        head = file[place : place + 4096]
        struct.pack_into("<Q", head, 72, at)
        file[place : place + 4096] = sealed(head)
    with pytest.raises(BadImage):
        open_vhdx(Files(x_vhdx=file), "x.vhdx")


def test_entries_of_a_log_name_one_another_as_tails(base: bytes) -> None:
    """Each says that its sequence begins at the other: a reader that follows tails would go round for ever."""
    file = bytearray(base)
    size = len(file)
    first = LogEntry(sequence=5, tail=40960, flushed=size, last=size)
    other = LogEntry(sequence=6, tail=0, flushed=size, last=size)
    put_log(file, [(0, first), (40960, other)], LOG)
    begun = time.monotonic()
    with pytest.raises(BadImage, match="no complete change"):
        open_vhdx(Files(x_vhdx=file), "x.vhdx")
    assert time.monotonic() - begun < 10


def test_a_log_is_full_of_entries_without_end(base: bytes, raw: bytes) -> None:
    """256 entries in a circle, each the successor of the one before it; the numbers must break it once."""
    file = bytearray(base)
    size = len(file)
    put_log(file, [(at * 4096, LogEntry(sequence=at + 1, tail=0, flushed=size, last=size)) for at in range(256)], LOG)
    assert read(Files(x_vhdx=file), "x.vhdx") == raw


def test_every_sector_of_a_log_claims_all_of_it(base: bytes) -> None:
    file = bytearray(base)
    for at in range(256):
        head = struct.pack("<4sIIIQII16sQQ", b"loge", 0, MIB, 0, at + 1, 0, 0, LOG, 0, 0)
        file[LOG_AT + at * 4096 : LOG_AT + at * 4096 + 64] = head
    put_log(file, [], LOG)
    begun = time.monotonic()
    with pytest.raises(BadImage):
        open_vhdx(Files(x_vhdx=file), "x.vhdx")
    assert time.monotonic() - begun < 10


def test_a_log_changes_the_same_place_again_and_again(base: bytes) -> None:
    """Changes on top of one another: the last one counts, and what they make is checked like any other table."""
    file = bytearray(base)
    size = len(file)
    changes: list[tuple[int, bytes | int]] = [(BAT_AT, MIB), (BAT_AT, b"\xff" * 4096), (BAT_AT, MIB)] * 300
    put_log(file, [(0, LogEntry(sequence=1, tail=0, changes=changes[:140], flushed=size, last=size))], LOG)
    with pytest.raises(BadImage, match="impossible state"):
        open_vhdx(Files(x_vhdx=file), "x.vhdx")


@pytest.mark.parametrize("count", [126, 127, 1 << 20, (1 << 32) - 1])
def test_a_log_entry_claims_descriptors_that_are_not_there(base: bytes, count: int) -> None:
    file = bytearray(base)
    entry = bytearray(LogEntry(sequence=1, tail=0, flushed=len(file), last=len(file)).packed(LOG))
    struct.pack_into("<I", entry, 24, count)
    put_log(file, [], LOG)
    file[LOG_AT : LOG_AT + 4096] = sealed(entry)
    with pytest.raises(BadImage, match="no complete change"):
        open_vhdx(Files(x_vhdx=file), "x.vhdx")


def test_unknown_parts_that_are_required_are_refused(base: bytes) -> None:
    file = bytearray(base)
    for at in REGIONS_AT:
        table = file[at : at + (64 << 10)]
        struct.pack_into("<I", table, 8, 3)
        struct.pack_into("<16sQII", table, 16 + 64, b"\x99" * 16, 4 * MIB, 0, 1)
        file[at : at + (64 << 10)] = sealed(table)
    with pytest.raises(Unsupported, match="unknown region"):
        open_vhdx(Files(x_vhdx=file), "x.vhdx")
