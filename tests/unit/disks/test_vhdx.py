# SPDX-License-Identifier: Apache-2.0
"""VHDX: every state of a block, sizes, sector sizes and chains, with qemu-img and libvhdi as second opinions."""

import random
import struct
import subprocess
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.hyperv_images import (
    ABSENT,
    BAT_AT,
    FULL,
    HEADERS_AT,
    METADATA_AT,
    PARTIAL,
    UNDEFINED,
    UNMAPPED,
    ZERO,
    Vhdx,
    header,
    linkage,
    read_by_libvhdi,
    write_sparse,
)
from v2x.disks.extent import Extent
from v2x.disks.interface import DiskReader
from v2x.disks.vhdx import describe_vhdx, open_vhdx, table
from v2x.errors import BadImage, Unsupported

MIB = 1 << 20
GIB = 1 << 30
BASE, CHILD = uuid.UUID(int=11), uuid.UUID(int=12)


def content(reader: DiskReader) -> bytes:
    buffer = bytearray(b"\xee" * reader.size)
    reader.read_into(0, buffer)
    reader.close()
    return bytes(buffer)


def piece(reader: DiskReader, offset: int, length: int) -> bytes:
    buffer = bytearray(b"\xee" * length)
    reader.read_into(offset, buffer)
    return bytes(buffer)


@pytest.fixture
def raw(pattern: Callable[..., bytes]) -> bytes:
    return pattern(6 * MIB, [(0, 6 * MIB)])


@pytest.mark.parametrize("state", [UNDEFINED, ZERO, UNMAPPED])
def test_blocks_that_are_not_stored_are_zeros_and_hide_the_parent(images: Any, raw: bytes, state: int) -> None:
    Vhdx(raw=raw, data_write=BASE).write(images.path("base.vhdx"))
    # Such blocks may keep the place where they were; here it lies beyond the file.
    states = {0: state, 2: ABSENT, 3: state | 0x7FFFF << 20}
    Vhdx(raw=raw, parent=linkage(BASE), states=states, data_write=CHILD).write(images.path("x.avhdx"))
    read = content(open_vhdx(images.listing, "x.avhdx"))
    assert read == bytes(MIB) + raw[MIB : 3 * MIB] + bytes(MIB) + raw[4 * MIB :]
    alone = Vhdx(raw=raw, states=states)
    alone.write(images.path("x.vhdx"))
    read = content(open_vhdx(images.listing, "x.vhdx"))
    assert read == images.read_by_qemu("x.vhdx", "vhdx")
    assert read == bytes(MIB) + raw[MIB : 2 * MIB] + bytes(2 * MIB) + raw[4 * MIB :]


def test_extents_come_from_the_table_alone(images: Any, raw: bytes) -> None:
    Vhdx(raw=raw, states={1: ZERO, 2: ABSENT, 4: UNMAPPED}, shuffle=1).write(images.path("x.vhdx"))
    reader = open_vhdx(images.listing, "x.vhdx")
    found = [(at // MIB, length // MIB, data) for at, length, data in reader.extents(0, reader.size)]
    reader.close()
    assert found == [(0, 1, True), (1, 2, False), (3, 1, True), (4, 1, False), (5, 1, True)]


def test_holes_of_a_fixed_disks_file_are_told(images: Any, pattern: Callable[..., bytes]) -> None:
    Vhdx(raw=pattern(4 * MIB, [(MIB, 65536)]), fixed=True).write(images.path("x.vhdx"))
    reader = open_vhdx(images.listing, "x.vhdx")
    assert list(reader.extents(0, reader.size)) == [
        Extent(0, MIB, False),
        Extent(MIB, 65536, True),
        Extent(MIB + 65536, 3 * MIB - 65536, False),
    ]
    reader.close()


def test_holes_within_stored_blocks_are_told_and_hide_the_parent(images: Any, raw: bytes) -> None:
    """Hyper-V stores 32 MiB for one byte, in a file that is mostly holes: those of a stored block are its zeros."""
    Vhdx(raw=raw, data_write=uuid.UUID(int=1)).write(images.path("base.vhdx"))
    fresh = bytearray(len(raw))
    fresh[MIB + 65536 : MIB + 2 * 65536] = random.Random(4).randbytes(65536)
    states = dict.fromkeys(range(6), ABSENT) | {1: FULL, 2: FULL}
    link = linkage(uuid.UUID(int=1), path="Z:\\gone\\base.vhdx")
    child = Vhdx(raw=bytes(fresh), data_write=uuid.UUID(int=2), parent=link, states=states)
    child.write(images.path("child.avhdx"))
    reader = open_vhdx(images.listing, "child.avhdx")
    assert list(reader.extents(MIB, 2 * MIB)) == [
        Extent(MIB, 65536, False),
        Extent(MIB + 65536, 65536, True),
        Extent(MIB + 2 * 65536, 2 * MIB - 2 * 65536, False),
    ]
    assert content(reader) == raw[:MIB] + bytes(fresh[MIB : 3 * MIB]) + raw[3 * MIB :]


def three_levels(images: Any, raw: bytes, *, zeroed: bool) -> tuple[list[str], bytes]:
    """The files of a chain, the one in use first, and what it holds; with `zeroed` each child zeroes a block."""
    chance = random.Random(3)
    expected = bytearray(raw)
    Vhdx(raw=raw, data_write=uuid.UUID(int=1), shuffle=2).write(images.path("base.vhdx"))
    names = ["base.vhdx"]
    for level in (2, 3):
        fresh = random.Random(level).randbytes(len(raw))
        states = dict.fromkeys(range(6), ABSENT) | {level: FULL, **({level + 1: ZERO} if zeroed else {})}
        sectors = {number: set(chance.sample(range(2048), 700)) for number in (0, 5)}
        sectors[0] |= set(range(100, 300))
        for number in (0, 5):
            del states[number]
            for sector in sectors[number]:
                at = number * MIB + sector * 512
                expected[at : at + 512] = fresh[at : at + 512]
        expected[level * MIB : (level + 1) * MIB] = fresh[level * MIB : (level + 1) * MIB]
        if zeroed:
            expected[(level + 1) * MIB : (level + 2) * MIB] = bytes(MIB)
        name = f"level{level}.avhdx"
        link = linkage(uuid.UUID(int=level - 1), path=f"Z:\\gone\\{names[0]}")
        disk = Vhdx(raw=fresh, data_write=uuid.UUID(int=level), parent=link, states=states, sectors=sectors)
        disk.write(images.path(name))
        names.insert(0, name)
    return names, bytes(expected)


@pytest.mark.parametrize("zeroed", [False, True])
def test_a_chain_of_three_is_read_and_described(images: Any, raw: bytes, zeroed: bool) -> None:
    names, expected = three_levels(images, raw, zeroed=zeroed)
    assert content(open_vhdx(images.listing, names[0])) == expected
    assert content(open_vhdx(images.listing, names[0], chain=names)) == expected
    assert content(open_vhdx(images.listing, names[0], chain=names[1:])) == expected
    facts = describe_vhdx(images.listing, names[0])
    assert (facts.chain, facts.capacity_bytes, facts.variant) == (tuple(names), 6 * MIB, "differencing")
    assert (facts.missing, facts.problem, facts.sector_bytes) == ((), "", 512)


def test_a_chain_of_three_reads_as_libvhdi_reads_it(images: Any, raw: bytes) -> None:
    """Without zeroed blocks, for which libvhdi 20210425 wrongly asks the parent ([MS-VHDX] 2.5.1.1)."""
    names, expected = three_levels(images, raw, zeroed=False)
    assert read_by_libvhdi([images.path(name) for name in names]) == expected
    assert content(open_vhdx(images.listing, names[0])) == expected


def test_a_parent_that_is_being_merged_into_may_have_the_second_identity(images: Any, raw: bytes) -> None:
    Vhdx(raw=raw, data_write=BASE).write(images.path("base.vhdx"))
    link = linkage(uuid.UUID(int=99)) | {"parent_linkage2": f"{{{BASE}}}"}
    Vhdx(raw=bytes(6 * MIB), parent=link, data_write=CHILD).write(images.path("x.avhdx"))
    assert content(open_vhdx(images.listing, "x.avhdx")) == raw


def test_a_child_may_be_larger_than_its_parent(images: Any, raw: bytes) -> None:
    Vhdx(raw=raw[: 2 * MIB + 512], data_write=BASE).write(images.path("base.vhdx"))
    disk = Vhdx(raw=raw, parent=linkage(BASE), data_write=CHILD, states={1: ABSENT, 2: ABSENT, 3: ABSENT})
    disk.write(images.path("x.avhdx"))
    read = content(open_vhdx(images.listing, "x.avhdx"))
    assert read == raw[: 2 * MIB + 512] + bytes(2 * MIB - 512) + raw[4 * MIB :]


@pytest.mark.parametrize("size", [512, 1536, MIB - 512, MIB, 3 * MIB + 512, 33 * MIB + 7 * 512])
@pytest.mark.parametrize("options", [("subformat=dynamic",), ("subformat=fixed",), ("block_size=1M",)])
def test_sizes_of_any_number_of_sectors(images: Any, size: int, options: tuple[str, ...], pattern: Any) -> None:
    disk = pattern(size, [(size // 3, size // 3), (size - 512, 512)])
    name = images.by_qemu("x.vhdx", disk, *options, format="vhdx")
    assert content(open_vhdx(images.listing, name)) == disk


def test_a_large_disk_that_qemu_wrote_to_in_any_order(images: Any) -> None:
    """Up to QEMU 8.0 such writes leave nonsense in the unused entries for sector bitmaps."""
    path = images.path("x.vhdx")
    run = [["qemu-img", "create", "-q", "-f", "vhdx", "-o", "block_size=1M", path, "21G"]]
    places = [0, 4 * GIB - 65536, 4 * GIB, 8 * GIB + MIB, 21 * GIB - 65536, 16 * GIB, 5 * MIB + 512, 12 * GIB]
    for number, place in enumerate(places, start=1):
        run.append(["qemu-io", "-f", "vhdx", "-c", f"write -q -P {number} {place} 64k", path])
    for command in run:
        subprocess.run(command, check=True, capture_output=True)
    reader = open_vhdx(images.listing, "x.vhdx")
    for number, place in enumerate(places, start=1):
        assert piece(reader, place, 65536) == bytes([number]) * 65536
    assert piece(reader, 10 * GIB, MIB) == bytes(MIB)
    data = [extent for extent in reader.extents(0, reader.size) if extent.data]
    assert 8 * 65536 <= sum(extent.length for extent in data) <= 8 * (65536 + 4096), "one of them begins in mid-page"
    reader.close()


def test_tables_are_read_in_pages(images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_PAGE_BLOCKS", 1)
    block, size = 32 * MIB, 13 * GIB
    far = {number: bytes([number % 251 + 1]) * 4096 for number in (127, 128, 255, 256, 300, 415)}
    Vhdx(raw=b"", size=size, block=block, far=far, data_write=BASE).write(images.path("base.vhdx"))
    sectors = {number: {0, 3} for number in (128, 415)}
    own = dict.fromkeys((128, 415, 129), b"\xfe" * 4096)
    child = Vhdx(raw=b"", size=size, block=block, far=own, sectors=sectors, parent=linkage(BASE), data_write=CHILD)
    child.write(images.path("x.avhdx"))
    reader = open_vhdx(images.listing, "x.avhdx")
    for number in (126, 127, 128, 129, 130, 255, 256, 300, 415):
        below = far.get(number, bytes(4096))
        expected = own.get(number, below)
        if number in sectors:
            expected = own[number][:512] + below[512:1536] + own[number][1536:2048] + below[2048:]
        assert piece(reader, number * block, 4096) == expected, number
    assert piece(reader, 128 * block - 512, 1024) == bytes(512) + b"\xfe" * 512
    found = {at // block for at, length, data in reader.extents(0, size) if data}
    assert found == {127, 128, 129, 255, 256, 300, 415}
    reader.close()


def test_disks_with_sectors_of_4096_bytes_are_refused_with_the_reason(images: Any, raw: bytes) -> None:
    Vhdx(raw=raw, sector=4096, data_write=BASE).write(images.path("base.vhdx"))
    with pytest.raises(Unsupported, match=r"4Kn.*512 bytes") as refused:
        open_vhdx(images.listing, "base.vhdx")
    assert refused.value.hint
    facts = describe_vhdx(images.listing, "base.vhdx")
    assert (facts.sector_bytes, facts.problem) == (4096, refused.value.message)
    sectors = {1: {0, 2, 255}}
    states = {number: ABSENT for number in range(6) if number != 1}
    child = Vhdx(
        raw=bytes(6 * MIB), sector=4096, data_write=CHILD, parent=linkage(BASE), sectors=sectors, states=states
    )
    child.write(images.path("x.avhdx"))
    expected = bytearray(raw)
    for sector in sectors[1]:
        expected[MIB + sector * 4096 : MIB + (sector + 1) * 4096] = bytes(4096)
    assert content(open_vhdx(images.listing, "x.avhdx", native_4k=True)) == expected
    assert read_by_libvhdi([images.path("x.avhdx"), images.path("base.vhdx")]) == expected


@pytest.mark.parametrize(("sector", "physical"), [(512, 512), (512, 4096)])
def test_disks_with_sectors_of_512_bytes_are_read(images: Any, raw: bytes, sector: int, physical: int) -> None:
    Vhdx(raw=raw, sector=sector, physical=physical).write(images.path("x.vhdx"))
    assert content(open_vhdx(images.listing, "x.vhdx")) == raw == images.read_by_qemu("x.vhdx", "vhdx")


def test_a_parent_of_other_sectors_is_refused(images: Any, raw: bytes) -> None:
    Vhdx(raw=raw, sector=4096, data_write=BASE).write(images.path("base.vhdx"))
    Vhdx(raw=raw, parent=linkage(BASE), data_write=CHILD).write(images.path("x.avhdx"))
    with pytest.raises(BadImage, match=r"sectors of 512 bytes and its parent base.vhdx of 4096"):
        open_vhdx(images.listing, "x.avhdx", native_4k=True)


def test_the_valid_header_with_the_higher_number_counts(images: Any, raw: bytes) -> None:
    file = Vhdx(raw=raw, data_write=BASE).packed()
    newer = header(9, data_write=CHILD)
    file[HEADERS_AT[0] : HEADERS_AT[0] + 4096] = newer
    write_sparse(images.path("base.vhdx"), file)
    for wanted in (CHILD, BASE):
        Vhdx(raw=raw, parent=linkage(wanted), states={0: ABSENT}).write(images.path("x.avhdx"))
        if wanted == CHILD:
            assert content(open_vhdx(images.listing, "x.avhdx")) == raw
    with pytest.raises(BadImage) as refused:
        open_vhdx(images.listing, "x.avhdx", chain=["base.vhdx"])
    assert refused.value.code == "PARENT-CHANGED"
    images.patch("base.vhdx", HEADERS_AT[0] + 9, b"\1")
    assert content(open_vhdx(images.listing, "x.avhdx")) == raw


def test_two_headers_of_one_number_contradict_each_other(images: Any, raw: bytes) -> None:
    file = Vhdx(raw=raw).packed()
    file[HEADERS_AT[0] : HEADERS_AT[0] + 4096] = header(2, data_write=CHILD)
    write_sparse(images.path("x.vhdx"), file)
    with pytest.raises(BadImage, match="contradict"):
        open_vhdx(images.listing, "x.vhdx")


BAD_ENTRIES = {
    "state 4": (0, 4),
    "state 5": (0, 5),
    "partly stored without a parent": (0, 5 * MIB | PARTIAL),
    "reserved bits": (0, 5 * MIB | 8 | FULL),
    "over the header": (0, FULL),
    "over the log": (0, MIB | FULL),
    "over the metadata": (0, METADATA_AT | FULL),
    "over the table": (0, BAT_AT | FULL),
    "over another block": (1, 4 * MIB | FULL),
    "at the end of the file": (1, 10 * MIB | FULL),
    "far beyond the file": (1, 0xFFFFFFFFFFF << 20 | FULL),
}


@pytest.mark.parametrize("bad", list(BAD_ENTRIES))
def test_impossible_entries_of_the_table_are_refused(images: Any, raw: bytes, bad: str) -> None:
    number, entry = BAD_ENTRIES[bad]
    Vhdx(raw=raw).write(images.path("x.vhdx"))
    images.patch("x.vhdx", BAT_AT + number * 8, struct.pack("<Q", entry))
    with pytest.raises(BadImage):
        open_vhdx(images.listing, "x.vhdx")


@pytest.mark.parametrize("entry", [ABSENT, 5, 7, MIB | 6, 1 << 60 | 6, 10 * MIB | 14])
def test_impossible_entries_for_sector_bitmaps_are_refused(images: Any, raw: bytes, entry: int) -> None:
    Vhdx(raw=raw, data_write=BASE).write(images.path("base.vhdx"))
    Vhdx(raw=raw, parent=linkage(BASE), sectors={2: {1}}).write(images.path("x.avhdx"))
    images.patch("x.avhdx", BAT_AT + 4096 * 8, struct.pack("<Q", entry))
    with pytest.raises(BadImage):
        open_vhdx(images.listing, "x.avhdx")


class Requests:
    """A listing that counts the reads of its files."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.count = 0

    def names(self) -> list[str]:
        return list(self._inner.names())

    def open(self, name: str) -> Any:
        source = self._inner.open(name)
        plain = source.read_into

        def read_into(offset: int, buffer: Any) -> None:
            self.count += 1
            plain(offset, buffer)

        source.read_into = read_into
        return source


@pytest.mark.parametrize("step", [2, 8, 97])
def test_a_block_that_alternates_with_its_parent_takes_few_requests(images: Any, raw: bytes, step: int) -> None:
    """One for every stretch of sectors would be a thousand round trips for a block on a share."""
    Vhdx(raw=raw, data_write=BASE).write(images.path("base.vhdx"))
    newer = random.Random(9).randbytes(len(raw))
    own = {sector for sector in range(2048) if sector // step % 2}
    child = Vhdx(
        raw=newer,
        data_write=CHILD,
        parent=linkage(BASE),
        sectors=dict.fromkeys(range(4), own),
        states={4: ZERO},
    )
    child.write(images.path("x.avhdx"))
    expected = bytearray(raw)
    for number in range(4):
        for sector in own:
            at = number * MIB + sector * 512
            expected[at : at + 512] = newer[at : at + 512]
    expected[4 * MIB : 5 * MIB] = bytes(MIB)
    expected[5 * MIB :] = newer[5 * MIB :]
    requests = Requests(images.listing)
    reader = open_vhdx(requests, "x.avhdx")
    requests.count = 0
    assert piece(reader, 0, 6 * MIB) == expected
    # Of each block its bitmap's entry, its bitmap, its own bytes and the parent's, with the edges of larger groups.
    assert requests.count <= 4 * 10
    chance = random.Random(step)
    for _ in range(50):
        at = chance.randrange(4 * MIB)
        length = chance.randrange(1, 300_000)
        assert piece(reader, at, length) == expected[at : at + length]
    reader.close()
