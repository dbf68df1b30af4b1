# SPDX-License-Identifier: Apache-2.0
"""Hostile VHD and VHDX images at the gate. Each test is named by its threat."""

import struct
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from tests.hyperv_images import Vhd
from v2x.disks.crc32c import crc32c
from v2x.disks.probe import ImageFacts, check_image
from v2x.disks.vhd import open_vhd
from v2x.errors import BadImage, InputRefused, UnsafeImage, Unsupported
from v2x.model.machine import DiskFormat

MIB = 1 << 20


def gate(images: Any, name: str, format: DiskFormat) -> ImageFacts:
    source = images.listing.open(name)
    try:
        return check_image(source, format)
    finally:
        source.close()


def summed(raw: bytearray, at: int) -> bytes:
    raw[at : at + 4] = bytes(4)
    struct.pack_into(">I", raw, at, ~sum(raw) & 0xFFFFFFFF)
    return bytes(raw)


def edit_vhd(images: Any, offset: int, data: bytes, *, part: str = "footer") -> None:
    """Changes footer (and its copy) or header, and makes the checksum right again."""
    content = bytearray(images.path("x.vhd").read_bytes())
    begin, length, at = (len(content) - 512, 512, 64) if part == "footer" else (512, 1024, 36)
    piece = content[begin : begin + length]
    piece[offset : offset + len(data)] = data
    content[begin : begin + length] = summed(piece, at)
    if part == "footer" and content[:8] == b"conectix":
        content[:512] = content[-512:]
    images.path("x.vhd").write_bytes(content)


@pytest.fixture
def dynamic(images: Any, pattern: Callable[..., bytes]) -> str:
    raw = pattern(6 * MIB, [(0, 100_000), (5 * MIB, 4096)])
    return images.by_qemu("x.vhd", raw, "subformat=dynamic", "force_size=on", format="vpc")


@pytest.mark.parametrize("subformat", ["dynamic", "fixed"])
def test_the_gate_passes_vhds_of_qemu(images: Any, pattern: Callable[..., bytes], subformat: str) -> None:
    raw = pattern(5 * MIB + 3 * 512, [(MIB, 5000)])
    images.by_qemu("x.vhd", raw, f"subformat={subformat}", "force_size=on", format="vpc")
    facts = gate(images, "x.vhd", DiskFormat.VHD)
    assert (facts.size_bytes, facts.variant) == (len(raw), subformat)


def test_a_differencing_vhd_would_be_read_without_its_parent(images: Any, dynamic: str) -> None:
    """qemu reads such a file as if the parent's data were zeros."""
    edit_vhd(images, 60, struct.pack(">I", 4))
    with pytest.raises(UnsafeImage, match="differencing"):
        gate(images, dynamic, DiskFormat.VHD)


FOOTER_ABUSE = {
    "cookie": (0, b"conectiX", BadImage),
    "version": (12, struct.pack(">I", 0x00020000), Unsupported),
    "type 0": (60, struct.pack(">I", 0), Unsupported),
    "type 2^32-1": (60, struct.pack(">I", 0xFFFFFFFF), Unsupported),
    "size 2^63": (48, struct.pack(">Q", 1 << 63), BadImage),
    "size no sectors": (48, struct.pack(">Q", 6 * MIB + 1), BadImage),
    "size beyond the table": (48, struct.pack(">Q", 1 << 40), BadImage),
    "fixed with a table's data": (60, struct.pack(">I", 2), BadImage),
    "header beyond the file": (16, struct.pack(">Q", 1 << 62), BadImage),
    "header all ones": (16, struct.pack(">Q", (1 << 64) - 1), BadImage),
}


@pytest.mark.parametrize("abuse", list(FOOTER_ABUSE))
def test_a_vhd_footer_abuses_integers(images: Any, dynamic: str, abuse: str) -> None:
    offset, data, error = FOOTER_ABUSE[abuse]
    edit_vhd(images, offset, data)
    with pytest.raises(error):
        gate(images, dynamic, DiskFormat.VHD)


HEADER_ABUSE = {
    "cookie": (0, b"cxsparsE"),
    "version": (24, struct.pack(">I", 0x00020000)),
    "table beyond the file": (16, struct.pack(">Q", 1 << 40)),
    "table at 2^63": (16, struct.pack(">Q", 1 << 63)),
    "no entries": (28, struct.pack(">I", 0)),
    "2^32-1 entries": (28, struct.pack(">I", 0xFFFFFFFF)),
    "block size 0": (32, struct.pack(">I", 0)),
    "block size no power of two": (32, struct.pack(">I", 3 << 20)),
    "block size 2 GiB": (32, struct.pack(">I", 1 << 31)),
}


@pytest.mark.parametrize("abuse", list(HEADER_ABUSE))
def test_a_vhd_header_abuses_integers(images: Any, dynamic: str, abuse: str) -> None:
    edit_vhd(images, *HEADER_ABUSE[abuse], part="header")
    with pytest.raises(InputRefused):
        gate(images, dynamic, DiskFormat.VHD)


def test_a_vhd_block_lies_beyond_the_file(images: Any, dynamic: str) -> None:
    images.patch(dynamic, 1536, struct.pack(">I", 0x7FFFFFFF))
    with pytest.raises(BadImage, match="a block of"):
        gate(images, dynamic, DiskFormat.VHD)


@pytest.mark.parametrize("offset", [-512 + 64, -512 + 40, 40, 512 + 36])
def test_a_vhd_checksum_is_wrong(images: Any, dynamic: str, offset: int) -> None:
    images.patch(dynamic, offset, b"\x5a\x5a")
    with pytest.raises(BadImage):
        gate(images, dynamic, DiskFormat.VHD)


@pytest.mark.parametrize("keep", [0, 1, 511, 512, 1024, 2048, 100_000])
def test_a_vhd_is_truncated(images: Any, dynamic: str, keep: int) -> None:
    with images.path(dynamic).open("r+b") as file:
        file.truncate(keep)
    with pytest.raises(InputRefused):
        gate(images, dynamic, DiskFormat.VHD)


HEADERS = (64 << 10, 128 << 10)
REGIONS = (192 << 10, 256 << 10)


@pytest.fixture
def vhdx(images: Any, pattern: Callable[..., bytes]) -> str:
    return images.by_qemu("x.vhdx", pattern(6 * MIB, [(0, 100_000)]), format="vhdx")


def edit_vhdx(images: Any, places: tuple[int, ...], length: int, offset: int, data: bytes) -> None:
    """Changes each copy of a structure and makes its CRC right again."""
    content = bytearray(images.path("x.vhdx").read_bytes())
    for place in places:
        piece = content[place : place + length]
        piece[offset : offset + len(data)] = data
        piece[4:8] = bytes(4)
        struct.pack_into("<I", piece, 4, crc32c(piece))
        content[place : place + length] = piece
    images.path("x.vhdx").write_bytes(content)


def metadata_item(images: Any, guid: str) -> tuple[int, int]:
    """(place of the entry, place of the value) of a metadata item."""
    import uuid

    content = images.path("x.vhdx").read_bytes()
    table = content.index(b"metadata", MIB)
    entry = content.index(uuid.UUID(guid).bytes_le, table)
    return entry, table + struct.unpack_from("<I", content, entry + 16)[0]


@pytest.mark.parametrize("subformat", ["dynamic", "fixed"])
def test_the_gate_passes_vhdx_of_qemu(images: Any, pattern: Callable[..., bytes], subformat: str) -> None:
    images.by_qemu("x.vhdx", pattern(6 * MIB, [(0, 1000)]), f"subformat={subformat}", format="vhdx")
    facts = gate(images, "x.vhdx", DiskFormat.VHDX)
    assert (facts.size_bytes, facts.variant, facts.logical_sector_bytes) == (6 * MIB, subformat, 512)


def test_a_vhdx_log_holds_changes(images: Any, vhdx: str) -> None:
    """A reader that ignores the log returns stale data without an error."""
    edit_vhdx(images, HEADERS, 4096, 48, b"\x11" * 16)
    with pytest.raises(Unsupported, match="not closed cleanly"):
        gate(images, vhdx, DiskFormat.VHDX)


def test_a_vhdx_has_a_parent(images: Any, vhdx: str) -> None:
    _, value = metadata_item(images, "caa16737-fa36-4d43-b3b6-33f0aa44e76b")
    images.patch(vhdx, value + 4, struct.pack("<I", 2))
    with pytest.raises(UnsafeImage, match="differencing"):
        gate(images, vhdx, DiskFormat.VHDX)


def test_a_vhdx_has_a_parent_locator_without_the_flag(images: Any, vhdx: str) -> None:
    import uuid

    entry, _ = metadata_item(images, "cda348c7-445d-4471-9cc9-e9885251c556")
    images.patch(vhdx, entry, uuid.UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c").bytes_le)
    with pytest.raises(UnsafeImage, match="differencing"):
        gate(images, vhdx, DiskFormat.VHDX)


@pytest.mark.parametrize(
    ("guid", "data"),
    [
        ("caa16737-fa36-4d43-b3b6-33f0aa44e76b", struct.pack("<I", 0)),
        ("caa16737-fa36-4d43-b3b6-33f0aa44e76b", struct.pack("<I", 3 << 20)),
        ("caa16737-fa36-4d43-b3b6-33f0aa44e76b", struct.pack("<I", 1 << 31)),
        ("2fa54224-cd1b-4876-b211-5dbed83bf4b8", struct.pack("<Q", (1 << 64) - 512)),
        ("2fa54224-cd1b-4876-b211-5dbed83bf4b8", struct.pack("<Q", 60 << 40)),
        ("2fa54224-cd1b-4876-b211-5dbed83bf4b8", struct.pack("<Q", 6 * MIB + 1)),
        ("8141bf1d-a96f-4709-ba47-f233a8faab5f", struct.pack("<I", 0)),
        ("8141bf1d-a96f-4709-ba47-f233a8faab5f", struct.pack("<I", 1 << 31)),
    ],
)
def test_vhdx_metadata_abuses_integers(images: Any, vhdx: str, guid: str, data: bytes) -> None:
    _, value = metadata_item(images, guid)
    images.patch(vhdx, value, data)
    with pytest.raises(BadImage):
        gate(images, vhdx, DiskFormat.VHDX)


@pytest.mark.parametrize(
    ("offset", "data"),
    [
        (0, b"\xff" * 16),  # an unknown item that is required
        (16, struct.pack("<I", 0)),  # a value inside the table
        (16, struct.pack("<I", 0xFFFFFFF0)),  # a value beyond the region
        (20, struct.pack("<I", 0)),  # a value of no bytes
        (20, struct.pack("<I", 0xFFFFFFFF)),
    ],
)
def test_a_vhdx_metadata_entry_lies(images: Any, vhdx: str, offset: int, data: bytes) -> None:
    entry, _ = metadata_item(images, "2fa54224-cd1b-4876-b211-5dbed83bf4b8")
    images.patch(vhdx, entry + offset, data)
    with pytest.raises(InputRefused):
        gate(images, vhdx, DiskFormat.VHDX)


@pytest.mark.parametrize(
    ("offset", "data", "error"),
    [
        (8, struct.pack("<I", 2048), BadImage),  # entries
        (8, struct.pack("<I", 0), BadImage),
        (8, struct.pack("<I", 1), BadImage),
        (16, b"\xff" * 16 + struct.pack("<QII", 3 * MIB, MIB, 1), Unsupported),  # an unknown region that is required
        (32, struct.pack("<Q", 1 << 60), BadImage),  # beyond the file
        (32, struct.pack("<Q", 0), BadImage),  # over the headers
        (32, struct.pack("<Q", MIB + 1), BadImage),  # unaligned
        (40, struct.pack("<I", 0xFFF00000), BadImage),  # too long
        (40, struct.pack("<I", 0), BadImage),  # too short for the table
    ],
)
def test_a_vhdx_region_table_lies(images: Any, vhdx: str, offset: int, data: bytes, error: type[Exception]) -> None:
    edit_vhdx(images, REGIONS, 64 << 10, offset, data)
    with pytest.raises(error):
        gate(images, vhdx, DiskFormat.VHDX)


@pytest.mark.parametrize("places", [HEADERS, REGIONS])
def test_both_copies_of_a_vhdx_structure_are_damaged(images: Any, vhdx: str, places: tuple[int, ...]) -> None:
    images.patch(vhdx, places[0] + 20, b"\xff\xfe\xfd")
    assert gate(images, vhdx, DiskFormat.VHDX).size_bytes == 6 * MIB
    images.patch(vhdx, places[1] + 20, b"\xff\xfe\xfd")
    with pytest.raises(BadImage, match="both"):
        gate(images, vhdx, DiskFormat.VHDX)


@pytest.mark.parametrize("keep", [0, 7, 8, 70_000, 200_000, 320 << 10, MIB + 100, 8 * MIB])
def test_a_vhdx_is_truncated(images: Any, vhdx: str, keep: int) -> None:
    with images.path(vhdx).open("r+b") as file:
        file.truncate(keep)
    with pytest.raises(BadImage):
        gate(images, vhdx, DiskFormat.VHDX)


def test_the_guest_of_a_fixed_disk_writes_a_dynamic_ones_header(images: Any) -> None:
    """qemu looks at the beginning first, where the guest writes, and so reads another disk than the footer tells of."""
    inner = Vhd(raw=b"\x11" * (4 * MIB), sectors={0: None}).packed()
    raw = inner[:-512].ljust(6 * MIB, b"\0")
    images.by_qemu("x.vhd", raw, "subformat=fixed", "force_size=on", format="vpc")
    assert read_vhd(images, "x.vhd") == raw
    assert images.info_by_qemu("x.vhd", "vpc")["virtual-size"] == 4 * MIB
    with pytest.raises(UnsafeImage, match="begins like a dynamic one"):
        gate(images, "x.vhd", DiskFormat.VHD)


def read_vhd(images: Any, name: str) -> bytes:
    with closing(open_vhd(images.listing, name)) as reader:
        buffer = bytearray(reader.size)
        reader.read_into(0, buffer)
        return bytes(buffer)
