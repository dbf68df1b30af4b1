# SPDX-License-Identifier: Apache-2.0
"""VHD: sizes, bitmaps and chains, with qemu-img and libvhdi as second opinions."""

import random
import struct
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.hyperv_images import Vhd, read_by_libvhdi, summed
from v2x.disks.extent import Extent
from v2x.disks.interface import DiskReader
from v2x.disks.vhd import describe_vhd, open_vhd
from v2x.errors import BadImage, Unsupported

MIB = 1 << 20
BASE, CHILD = uuid.UUID(int=21), uuid.UUID(int=22)
STAMP = 700_000_000


def content(reader: DiskReader) -> bytes:
    buffer = bytearray(b"\xee" * reader.size)
    reader.read_into(0, buffer)
    reader.close()
    return bytes(buffer)


@pytest.fixture
def raw(pattern: Callable[..., bytes]) -> bytes:
    return pattern(6 * MIB + 1536, [(0, 6 * MIB + 1536)])


@pytest.mark.parametrize("size", [512, 3 * MIB + 512, 4 * MIB, 9 * MIB + 5 * 512, 67 * MIB + 77 * 512])
@pytest.mark.parametrize("subformat", ["dynamic", "fixed"])
@pytest.mark.parametrize("exact", [True, False])
def test_sizes_of_any_number_of_sectors(images: Any, pattern: Any, size: int, subformat: str, exact: bool) -> None:
    """Without force_size, QEMU rounds a disk up to whole cylinders; what it reads back is what is read here."""
    disk = pattern(size, [(size // 3, size // 3), (size - 512, 512)])
    options = [f"subformat={subformat}", *(["force_size=on"] if exact else [])]
    name = images.by_qemu("x.vhd", disk, *options, format="vpc")
    read = content(open_vhd(images.listing, name))
    assert read == images.read_by_qemu(name, "vpc")
    assert read[:size] == disk
    assert not any(read[size:])
    assert len(read) == size or not exact


def test_sectors_that_were_never_written_are_zeros(images: Any, raw: bytes) -> None:
    """Whatever lies in their place: here bytes that are not the disk's."""
    sectors: dict[int, set[int] | None] = {0: {0, 1, 7, 4095}, 2: None}
    Vhd(raw=raw, sectors=sectors).write(images.path("x.vhd"))
    expected = bytearray(len(raw))
    for sector in (0, 1, 7, 4095):
        expected[sector * 512 : sector * 512 + 512] = raw[sector * 512 : sector * 512 + 512]
    expected[4 * MIB : 6 * MIB] = raw[4 * MIB : 6 * MIB]
    assert content(open_vhd(images.listing, "x.vhd")) == expected


def test_extents_come_from_the_table_alone(images: Any, raw: bytes) -> None:
    Vhd(raw=raw, sectors={0: {5}, 2: None, 3: None}).write(images.path("x.vhd"))
    reader = open_vhd(images.listing, "x.vhd")
    expected = [(0, 2 * MIB, True), (2 * MIB, 2 * MIB, False), (4 * MIB, 2 * MIB + 1536, True)]
    assert list(reader.extents(0, reader.size)) == [Extent(*extent) for extent in expected]
    assert list(reader.extents(2 * MIB + 512, 512)) == [Extent(2 * MIB + 512, 512, False)]
    reader.close()


def three_levels(images: Any, raw: bytes, *, together: int) -> tuple[list[str], bytes]:
    """The files of a chain, the one in use first, and what it holds; `together` sectors at a time were written."""
    chance = random.Random(4)
    expected = bytearray(raw)
    blocks = range(4)
    Vhd(raw=raw, sectors=dict.fromkeys(blocks), unique=uuid.UUID(int=1), shuffle=1).write(images.path("base.vhd"))
    names = ["base.vhd"]
    for level in (2, 3):
        fresh = random.Random(level).randbytes(len(raw))
        sectors: dict[int, set[int] | None] = {0: set(), level: None, 3: {0, 2} if together == 1 else set(range(3))}
        for first in chance.sample(range(4096 // together), 900 // together):
            sectors[0] = (sectors[0] or set()) | set(range(first * together, (first + 1) * together))
        for number, present in sectors.items():
            for sector in range(4096) if present is None else present:
                at = number * 2 * MIB + sector * 512
                if at < len(raw):
                    expected[at : at + 512] = fresh[at : at + 512]
        name = f"level{level}.avhd"
        link = (uuid.UUID(int=level - 1), STAMP, f"\\\\gone\\share\\{names[0]}")
        disk = Vhd(raw=fresh, sectors=sectors, unique=uuid.UUID(int=level), parent=link)
        disk.write(images.path(name))
        names.insert(0, name)
    return names, bytes(expected)


def test_a_chain_of_three_reads_as_libvhdi_reads_it(images: Any, raw: bytes) -> None:
    """With eight sectors at a time: libvhdi 20210425 takes a set bit for all that follow in its byte."""
    names, expected = three_levels(images, raw, together=8)
    assert read_by_libvhdi([images.path(name) for name in names]) == expected
    assert content(open_vhd(images.listing, names[0])) == expected


def test_a_chain_of_three_is_read_and_described(images: Any, raw: bytes) -> None:
    names, expected = three_levels(images, raw, together=1)
    assert content(open_vhd(images.listing, names[0])) == expected
    assert content(open_vhd(images.listing, names[0], chain=names)) == expected
    facts = describe_vhd(images.listing, names[0])
    assert (facts.chain, facts.capacity_bytes, facts.variant) == (tuple(names), len(raw), "differencing")
    assert (facts.missing, facts.problem) == ((), "")


def test_a_parent_written_to_since_is_refused(images: Any, raw: bytes) -> None:
    """Writing to a VHD leaves its identifier as it is; Windows gives it a new time stamp."""
    Vhd(raw=raw, sectors={0: None}, unique=BASE, stamp=STAMP + 5).write(images.path("base.vhd"))
    Vhd(raw=raw, sectors={}, unique=CHILD, parent=(BASE, STAMP, "base.vhd")).write(images.path("x.avhd"))
    with pytest.raises(BadImage, match="no longer") as refused:
        open_vhd(images.listing, "x.avhd")
    assert refused.value.code == "PARENT-CHANGED"


@pytest.mark.parametrize("creator", [b"vbox", b"tap\0"])
def test_a_creator_that_stamps_by_file_times_is_matched_by_identifier(images: Any, raw: bytes, creator: bytes) -> None:
    Vhd(raw=raw, sectors=dict.fromkeys(range(4)), unique=BASE, stamp=STAMP + 5).write(images.path("base.vhd"))
    child = Vhd(raw=raw, sectors={}, unique=CHILD, parent=(BASE, STAMP, "base.vhd"), creator=creator)
    child.write(images.path("x.avhd"))
    assert content(open_vhd(images.listing, "x.avhd")) == raw


BAD_ENTRIES = {
    "over the footer's copy": 0,
    "over the header": 1,
    "over the table": 3,
    "over another block": 4 + 100,
    "the same as another": 4 + 4097,
    "at the end of the file": 4 + 2 * 4097,
    "far beyond": 0xFFFFFFFE,
}


@pytest.mark.parametrize("bad", list(BAD_ENTRIES))
def test_impossible_entries_of_the_table_are_refused(images: Any, raw: bytes, bad: str) -> None:
    Vhd(raw=raw, sectors={0: None, 1: None}).write(images.path("x.vhd"))
    images.patch("x.vhd", 1536, struct.pack(">I", BAD_ENTRIES[bad]))
    with pytest.raises(BadImage):
        open_vhd(images.listing, "x.vhd")


def test_a_block_size_that_makes_too_large_a_table_is_refused(images: Any) -> None:
    Vhd(raw=bytes(4096), sectors={}).write(images.path("x.vhd"))
    file = bytearray(images.path("x.vhd").read_bytes())
    head = file[512:1536]
    struct.pack_into(">II", head, 28, 1 << 24, 4096)
    file[512:1536] = summed(head, 36)
    foot = file[:512]
    struct.pack_into(">Q", foot, 48, 32 << 30)
    file[:512] = file[-512:] = summed(foot, 64)
    images.path("x.vhd").write_bytes(file)
    with pytest.raises(Unsupported, match="blocks"):
        open_vhd(images.listing, "x.vhd")
