# SPDX-License-Identifier: Apache-2.0
"""Hostile VMDKs. Each test is named by its threat; none may open a file outside its folder or escape the error tree."""

import os
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from v2x.disks.probe import check_image
from v2x.disks.vmdk import describe_vmdk, open_vmdk
from v2x.errors import BadImage, InputRefused, UnsafeImage, Unsupported
from v2x.model.machine import DiskFormat

KIB64 = 65536
ALL_ONES = (1 << 64) - 1


class Canary:
    """Notes every file opened while it is on. Audit hooks cannot be removed, so one serves all tests."""

    on = False
    opened: list[str] = []  # noqa: RUF012
    installed = False

    @classmethod
    def hook(cls, event: str, arguments: tuple[object, ...]) -> None:
        if cls.on and event in {"open", "subprocess.Popen", "socket.connect"}:
            cls.opened.append(
                f"{event} {os.fsdecode(arguments[0]) if isinstance(arguments[0], bytes) else arguments[0]}"
            )


@pytest.fixture
def canary() -> Iterator[Canary]:
    if not Canary.installed:
        sys.addaudithook(Canary.hook)
        Canary.installed = True
    Canary.opened.clear()
    yield Canary()
    Canary.on = False


def read_all(images: Any, name: str) -> bytes:
    reader = open_vmdk(images.listing, name)
    try:
        buffer = bytearray(reader.size)
        reader.read_into(0, buffer)
        list(reader.extents(0, reader.size))
        return bytes(buffer)
    finally:
        reader.close()


HOST_PATHS = [
    "/etc/passwd",
    "../outside.bin",
    "../../etc/passwd",
    "sub/inside.bin",
    "a/../data.bin",
    "./data.bin",
    "..",
    ".",
    "\\\\server\\share\\x.vmdk",
    "C:\\x.vmdk",
    "c:x.vmdk",
    "nbd://host/export",
    "json:{}/x",
    "data.bin\\",
    "data.bin\0",
    "data.bin\0/etc/passwd",
    "x" * 300,
]


@pytest.mark.parametrize("path", HOST_PATHS)
@pytest.mark.parametrize("kind", ["FLAT", "VMFS", "SPARSE", "VMFSSPARSE", "SESPARSE"])
def test_an_extent_names_a_host_path(images: Any, canary: Canary, path: str, kind: str) -> None:
    (images.folder.parent / "outside.bin").write_bytes(b"secret" * 1000)
    images.path("data.bin").write_bytes(b"x" * 4096)
    images.descriptor("x.vmdk", [f'RW 1 {kind} "{path}" 0'], kind="vmfs")
    Canary.on = True
    with pytest.raises((UnsafeImage, InputRefused)) as refused:
        open_vmdk(images.listing, "x.vmdk")
    Canary.on = False
    assert refused.value.exit_code == 6
    assert set(Canary.opened) <= {"open x.vmdk"}


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside.vmdk", "..", "\\\\server\\share\\base.vmdk", "nbd://h/e"])
def test_a_parent_hint_names_a_host_path(images: Any, canary: Canary, path: str) -> None:
    images.flat("base.vmdk", b"x" * 512)
    (images.folder.parent / "outside.vmdk").write_bytes(images.path("base.vmdk").read_bytes())
    images.path("base.vmdk").unlink()
    images.cowd("x.vmdk", b"n" * 512, parent_cid="11111111", parent=path)
    Canary.on = True
    with pytest.raises(InputRefused):
        open_vmdk(images.listing, "x.vmdk")
    Canary.on = False
    assert all("outside" not in name and "passwd" not in name for name in Canary.opened)


def make_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [make_link, make_pipe, Path.mkdir])
@pytest.mark.parametrize("role", ["descriptor", "extent", "parent"])
def test_a_name_in_the_listing_is_a_link_a_pipe_or_a_folder(
    images: Any, make: Callable[[Path], None], role: str
) -> None:
    make(images.path("trap.vmdk"))
    if role == "extent":
        images.descriptor("x.vmdk", ['RW 1 FLAT "trap.vmdk" 0'], kind="monolithicFlat")
    elif role == "parent":
        images.cowd("x.vmdk", b"n" * 512, parent_cid="11111111", parent="trap.vmdk")
    with pytest.raises(InputRefused):
        open_vmdk(images.listing, "trap.vmdk" if role == "descriptor" else "x.vmdk")


@pytest.mark.parametrize("kind", ["VMFSRDM", "VMFSRAW", "VMFSRDMP"])
def test_an_extent_is_a_device(images: Any, canary: Canary, kind: str) -> None:
    images.descriptor("x.vmdk", [f'RW 1 {kind} "/dev/zero"'], kind="vmfsRawDeviceMap")
    Canary.on = True
    with pytest.raises(Unsupported, match="raw device"):
        open_vmdk(images.listing, "x.vmdk")
    assert describe_vmdk(images.listing, "x.vmdk").raw_device
    Canary.on = False
    assert set(Canary.opened) == {"open x.vmdk"}


def test_a_descriptor_names_itself_as_its_extent(images: Any) -> None:
    images.descriptor("x.vmdk", ['RW 1 SPARSE "x.vmdk"'], kind="monolithicSparse")
    with pytest.raises(BadImage):
        open_vmdk(images.listing, "x.vmdk")


# Offsets of the sparse header's fields, and values that must neither crash nor allocate.
HEADER_ABUSE = {
    "version": (4, struct.pack("<I", 9)),
    "unknown flag": (8, struct.pack("<I", 3 | 0x40)),
    "high flag": (8, struct.pack("<I", 3 | 0x80000000)),
    "compressed flag alone": (8, struct.pack("<I", 0x10001)),
    "markers alone": (8, struct.pack("<I", 0x20001)),
    "capacity 2^63": (12, struct.pack("<Q", 1 << 63)),
    "capacity all ones": (12, struct.pack("<Q", ALL_ONES)),
    "capacity beyond the descriptor": (12, struct.pack("<Q", 1 << 30)),
    "grain 0": (20, struct.pack("<Q", 0)),
    "grain 1": (20, struct.pack("<Q", 1)),
    "grain no power of two": (20, struct.pack("<Q", 127)),
    "grain 2^40": (20, struct.pack("<Q", 1 << 40)),
    "grain 2^63": (20, struct.pack("<Q", 1 << 63)),
    "descriptor beyond the file": (28, struct.pack("<Q", 1 << 30)),
    "descriptor at 2^63": (28, struct.pack("<Q", 1 << 63)),
    "descriptor of 2^40 sectors": (36, struct.pack("<Q", 1 << 40)),
    "no entries per table": (44, struct.pack("<I", 0)),
    "2^32 entries per table": (44, struct.pack("<I", 0xFFFFFFFF)),
    "directory at 0": (56, struct.pack("<Q", 0)),
    "directory beyond the file": (56, struct.pack("<Q", 1 << 33)),
    "directory at 2^63": (56, struct.pack("<Q", 1 << 63)),
    "directory in a footer that is not there": (56, struct.pack("<Q", ALL_ONES)),
    "text mode transfer": (73, b"\n \n\n"),
    "unknown compression": (77, struct.pack("<H", 2)),
    "compression without its flag": (77, struct.pack("<H", 1)),
}


@pytest.mark.parametrize("abuse", list(HEADER_ABUSE))
def test_a_sparse_header_abuses_integers(images: Any, abuse: str) -> None:
    images.sparse("x.vmdk", b"d" * KIB64 * 2)
    images.patch("x.vmdk", *HEADER_ABUSE[abuse])
    with pytest.raises(InputRefused):
        read_all(images, "x.vmdk")
    with pytest.raises(InputRefused):
        gate(images, "x.vmdk")


@pytest.mark.parametrize("entry", [0x7FFFFFFF, 0xFFFFFFFF, 100000])
@pytest.mark.parametrize("level", ["directory", "table"])
def test_an_entry_points_beyond_the_file(images: Any, entry: int, level: str) -> None:
    images.sparse("x.vmdk", b"d" * KIB64 * 2)
    images.patch("x.vmdk", {"directory": 32, "table": 33}[level] * 512, struct.pack("<I", entry))
    with pytest.raises(BadImage, match="outside the file"):
        read_all(images, "x.vmdk")


def test_a_directory_points_at_itself(images: Any) -> None:
    """Legal bytes, wrong content: at worst BadImage, never a loop."""
    images.sparse("x.vmdk", b"d" * KIB64 * 2)
    images.patch("x.vmdk", 32 * 512, struct.pack("<I", 32))
    assert len(read_all(images, "x.vmdk")) == 2 * KIB64


def test_grains_overlap(images: Any) -> None:
    """Every grain at one place of the file: it is read as often as named, and nothing grows."""
    images.sparse("x.vmdk", b"d" * KIB64 * 64)
    images.patch("x.vmdk", 33 * 512, struct.pack("<64I", *[128] * 64))
    assert read_all(images, "x.vmdk") == b"d" * KIB64 * 64


@pytest.mark.parametrize("keep", [1, 100, 511, 512, 600, 1024, 11000, 16384, 16900, 17500, 70000, 131071])
def test_a_sparse_file_is_truncated(images: Any, keep: int) -> None:
    images.sparse("x.vmdk", b"d" * KIB64)
    with images.path("x.vmdk").open("r+b") as file:
        file.truncate(keep)
    with pytest.raises(InputRefused):
        read_all(images, "x.vmdk")


def stream_with(images: Any, packed: bytes, *, claimed: int | None = None, sector: int = 0) -> None:
    """A stream of one grain whose zlib stream is `packed`."""
    images.stream("x.vmdk", b"d" * KIB64)
    content = images.path("x.vmdk").read_bytes()
    marker = struct.pack("<QI", sector, len(packed) if claimed is None else claimed)
    grain = marker + packed
    grain += bytes(-len(grain) % 512 + 512)
    tail = bytearray(content[129 * 512 :])
    shift = len(grain) // 512 - 1
    file = bytearray(content[: 128 * 512]) + grain + tail
    directory_at = file.index(struct.pack("<QII", 1, 0, 2), 128 * 512) + 512
    struct.pack_into("<I", file, directory_at, struct.unpack_from("<I", file, directory_at)[0] + shift)
    footer = len(file) - 1024
    struct.pack_into("<Q", file, footer + 56, directory_at // 512)
    images.path("x.vmdk").write_bytes(file)


def test_the_one_grain_writer_is_right(images: Any) -> None:
    stream_with(images, zlib.compress(b"d" * KIB64))
    assert read_all(images, "x.vmdk") == b"d" * KIB64


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (zlib.compress(bytes(200_000_000), 1), "claims"),
        (zlib.compress(bytes(60_000_000), 9), "inflates to more"),
        (zlib.compress(bytes(KIB64 + 1)), "inflates to more"),
        (zlib.compress(b"d" * (KIB64 - 1)), "65,535 bytes of 65,536"),
        (zlib.compress(b"")[:], "0 bytes of 65,536"),
        (zlib.compress(b"d" * KIB64)[:-1], "ends early"),
        (zlib.compress(b"d" * KIB64)[:-4] + b"\1\2\3\4", "damaged"),
        (zlib.compress(b"d" * KIB64) + b"more", "goes on after its end"),
        (zlib.compress(b"d" * KIB64)[2:-4], "damaged"),
        (b"\x1f\x8b" + b"\xff" * 40, "damaged"),
        (b"\xff" * 40, "damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_a_grain_is_a_decompression_bomb_or_damaged(images: Any, packed: bytes, reason: str) -> None:
    stream_with(images, packed)
    with pytest.raises(BadImage, match=reason):
        read_all(images, "x.vmdk")


@pytest.mark.parametrize("claimed", [0, 2 * KIB64 + 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_marker_lies_about_its_length(images: Any, claimed: int) -> None:
    stream_with(images, zlib.compress(b"d" * KIB64), claimed=claimed)
    with pytest.raises(BadImage, match="claims"):
        read_all(images, "x.vmdk")


@pytest.mark.parametrize("sector", [1, 128, 1 << 63, ALL_ONES])
def test_a_marker_belongs_to_another_grain(images: Any, sector: int) -> None:
    stream_with(images, zlib.compress(b"d" * KIB64), sector=sector)
    with pytest.raises(BadImage, match="is marked as sector"):
        read_all(images, "x.vmdk")


def test_every_entry_names_one_compressed_grain(images: Any) -> None:
    """An amplifier: one stored grain for the whole disk is told by its marker."""
    images.stream("x.vmdk", b"d" * KIB64 * 8)
    content = images.path("x.vmdk").read_bytes()
    images.patch("x.vmdk", content.index(struct.pack("<I", 128), 129 * 512), struct.pack("<8I", *[128] * 8))
    with pytest.raises(BadImage, match="is marked as sector"):
        read_all(images, "x.vmdk")


@pytest.mark.parametrize(
    ("offset", "data"),
    [
        (-1536 + 8, b"\1"),  # the footer marker's size
        (-1536 + 12, b"\2"),  # its type
        (-1024, b"XXXX"),  # the footer's magic
        (-1024 + 12, struct.pack("<Q", 5)),  # its capacity
        (-1024 + 20, struct.pack("<Q", 64)),  # its grain size
        (-1024 + 56, struct.pack("<Q", ALL_ONES)),  # its directory is in a footer again
        (-1024 + 56, struct.pack("<Q", 0)),
        (-1024 + 56, struct.pack("<Q", 1 << 40)),
        (-512, b"\1"),  # the end-of-stream marker
    ],
)
def test_a_footer_is_damaged_or_lies(images: Any, offset: int, data: bytes) -> None:
    images.stream("x.vmdk", b"d" * KIB64 * 2)
    images.patch("x.vmdk", offset, data)
    with pytest.raises(BadImage):
        read_all(images, "x.vmdk")


@pytest.mark.parametrize("cut", [1, 512, 1024, 1536, 4000])
def test_a_stream_is_truncated(images: Any, cut: int) -> None:
    images.stream("x.vmdk", b"d" * KIB64 * 20)
    with images.path("x.vmdk").open("r+b") as file:
        file.truncate(images.path("x.vmdk").stat().st_size - cut)
    with pytest.raises(BadImage, match="no footer"):
        read_all(images, "x.vmdk")


COWD_ABUSE = {
    "version": (4, struct.pack("<I", 2)),
    "flags": (8, struct.pack("<I", 0x80000000)),
    "capacity 2^32-1": (12, struct.pack("<I", 0xFFFFFFFF)),
    "grain 0": (16, struct.pack("<I", 0)),
    "grain 2^31": (16, struct.pack("<I", 1 << 31)),
    "directory at 0": (20, struct.pack("<I", 0)),
    "directory beyond the file": (20, struct.pack("<I", 0xFFFFFFFF)),
    "no directory entries": (24, struct.pack("<I", 0)),
    "table beyond the file": (2048, struct.pack("<I", 0xFFFFFFFF)),
    "grain beyond the file": (2560, struct.pack("<I", 0xFFFFFFFF)),
}


@pytest.mark.parametrize("abuse", list(COWD_ABUSE))
def test_a_cowd_header_abuses_integers(images: Any, abuse: str) -> None:
    images.cowd("x.vmdk", b"d" * KIB64)
    images.patch("x-delta.vmdk", *COWD_ABUSE[abuse])
    with pytest.raises(InputRefused):
        read_all(images, "x.vmdk")


SESPARSE_ABUSE = {
    "version": (8, 3),
    "capacity": (16, ALL_ONES),
    "grain size": (24, 0),
    "table size": (32, 1 << 62),
    "flags": (40, 1),
    "reserved": (48, 1),
    "volatile header beyond the file": (80, 1 << 50),
    "volatile header at 2^63": (80, 1 << 63),
    "volatile magic": (512, 0),
    "directory beyond the file": (128, 1 << 40),
    "directory too small": (136, 0),
    "tables beyond the file": (144, 1 << 40),
    "grains beyond the file": (192, ALL_ONES),
    "directory entry of an unknown kind": (8 * 512, 0x2000000000000000),
    "directory entry too large": (8 * 512, 0x1000000100000000),
    "table beyond the end": (8 * 512, 0x10000000FFFFFFFF),
    "grain of an unknown kind": (9 * 512, 0x4000000000000000),
    "grain with stray bits": (9 * 512, 0x0000000000000001),
    "grain beyond the end": (9 * 512, 0x3FFFFFFFFFFFFFFF),
    "grain number 2^60": (9 * 512, 0x3000FFFFFFFFFFFF),
}


@pytest.mark.parametrize("abuse", list(SESPARSE_ABUSE))
def test_an_sesparse_header_abuses_integers(images: Any, abuse: str) -> None:
    images.sesparse("x.vmdk", b"d" * KIB64)
    offset, value = SESPARSE_ABUSE[abuse]
    images.patch("x-sesparse.vmdk", offset, struct.pack("<Q", value))
    with pytest.raises(InputRefused):
        read_all(images, "x.vmdk")


def test_sesparse_entries_that_count_into_the_next_kind_stay_apart(images: Any) -> None:
    """Zeroed grains with leftover numbers, directly followed by a stored one that continues their count."""
    images.sesparse("x.vmdk", b"d" * 4096 * 4, first_number=1)
    content = images.path("x-sesparse.vmdk").read_bytes()
    stored = struct.unpack_from("<4Q", content, 9 * 512)
    zeros = [(2 << 60 | 0xFFE << 48), (2 << 60 | 0xFFF << 48)]
    images.patch("x-sesparse.vmdk", 9 * 512, struct.pack("<4Q", *zeros, 3 << 60, stored[3]))
    expected = bytes(3 * 4096) + b"d" * 4096  # grain number 0 was left empty by the writer
    assert read_all(images, "x.vmdk") == expected == images.read_by_qemu("x.vmdk")


def test_a_descriptor_is_a_huge_file_or_endless_lines(images: Any) -> None:
    with images.path("x.vmdk").open("wb") as file:
        file.write(b"# Disk DescriptorFile\n")
        file.truncate(8 << 40)
    with pytest.raises(BadImage, match="no VMDK"):
        open_vmdk(images.listing, "x.vmdk")
    for line in ("a" * 1_000_000, 'RW 1 FLAT "' + "x" * 1_000_000, "RW " + " " * 1_000_000, "=" * 1_000_000):
        images.path("x.vmdk").write_text("# Disk DescriptorFile\n" + line)
        with pytest.raises(BadImage):
            open_vmdk(images.listing, "x.vmdk")


def gate(images: Any, name: str) -> object:
    source = images.listing.open(name)
    try:
        return check_image(source, DiskFormat.VMDK)
    finally:
        source.close()


@pytest.mark.parametrize("subformat", ["monolithicSparse", "streamOptimized"])
def test_the_gate_passes_self_contained_files_of_qemu(
    images: Any, pattern: Callable[..., bytes], subformat: str
) -> None:
    raw = pattern(3 << 20, [(0, 100_000)])
    images.by_qemu("x.vmdk", raw, f"subformat={subformat}")
    facts = gate(images, "x.vmdk")
    assert facts.size_bytes == len(raw)
    assert facts.variant == subformat


@pytest.mark.parametrize("subformat", ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"])
def test_the_gate_stops_descriptors_and_lone_extents(images: Any, subformat: str) -> None:
    images.by_qemu("x.vmdk", bytes(1 << 20), f"subformat={subformat}")
    for name in images.listing.names():
        with pytest.raises(InputRefused):
            gate(images, name)


def test_the_gate_stops_deltas(images: Any) -> None:
    images.flat("base.vmdk", b"o" * KIB64, cid="00000001")
    images.sparse("x.vmdk", b"n" * KIB64, parent_cid="00000001", parent="base.vmdk")
    with pytest.raises(UnsafeImage, match="parent"):
        gate(images, "x.vmdk")
    images.sparse("x.vmdk", b"n" * KIB64, parent_cid="00000001")
    with pytest.raises(UnsafeImage, match="delta"):
        gate(images, "x.vmdk")


def test_a_comment_hides_a_parent_that_qemu_would_open(images: Any) -> None:
    """qemu looks for the key anywhere in the text: the file passes as parentless, yet /etc/passwd is its backing."""
    images.sparse("x.vmdk", b"n" * KIB64)
    text = images.path("x.vmdk").read_bytes()[512:].split(b"\0")[0]
    images.patch("x.vmdk", 512 + len(text), b'#parentFileNameHint="/etc/passwd"\n')
    assert images.info_by_qemu("x.vmdk", "vmdk")["backing-filename"] == "/etc/passwd"
    with pytest.raises(UnsafeImage, match="parent"):
        gate(images, "x.vmdk")
    assert read_all(images, "x.vmdk") == b"n" * KIB64


def test_a_second_descriptor_lies_where_qemu_looks(images: Any) -> None:
    """The header's descriptor is harmless; the one at sector 1, where qemu looks for a parent, is not."""
    images.sparse("x.vmdk", b"n" * KIB64)
    content = bytearray(images.path("x.vmdk").read_bytes())
    text = content[512:].split(b"\0")[0]
    struct.pack_into("<QQ", content, 28, len(content) // 512, 20)
    content += text.ljust(20 * 512, b"\0")
    hint = b'#parentFileNameHint="/etc/passwd"\n'
    content[512 + len(text) : 512 + len(text) + len(hint)] = hint
    images.path("x.vmdk").write_bytes(content)
    assert images.info_by_qemu("x.vmdk", "vmdk")["backing-filename"] == "/etc/passwd"
    with pytest.raises(UnsafeImage):
        gate(images, "x.vmdk")


def test_a_capacity_of_zero_makes_qemu_follow_the_embedded_extents(images: Any) -> None:
    images.sparse("x.vmdk", b"n" * KIB64)
    content = images.path("x.vmdk").read_bytes()
    images.patch("x.vmdk", 12, struct.pack("<Q", 0))
    new = content[512:].split(b"\0")[0].replace(b'RW 128 SPARSE "x.vmdk"', b'RW 1 FLAT "/etc/passwd" 0')
    images.patch("x.vmdk", 512, new)
    with pytest.raises(InputRefused):
        gate(images, "x.vmdk")
    with pytest.raises(InputRefused):
        open_vmdk(images.listing, "x.vmdk")


@pytest.mark.parametrize("line", ['RW 128 SPARSE "/etc/passwd"', 'RW 128 SPARSE "../x.vmdk"'])
def test_an_embedded_descriptor_names_another_path(images: Any, line: str) -> None:
    images.sparse("x.vmdk", b"n" * KIB64)
    content = images.path("x.vmdk").read_bytes()
    images.patch("x.vmdk", 512, content[512:].split(b"\0")[0].replace(b'RW 128 SPARSE "x.vmdk"', line.encode()))
    with pytest.raises(UnsafeImage):
        gate(images, "x.vmdk")
    assert read_all(images, "x.vmdk") == b"n" * KIB64


@pytest.mark.parametrize("sign", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_a_comment_hides_an_extent_behind_a_sign_that_only_python_takes_for_a_line_end(images: Any, sign: str) -> None:
    """VMware and qemu end lines at line feeds alone; the disk must not be longer here than there."""
    images.flat("x.vmdk", bytes(KIB64))
    text = images.path("x.vmdk").read_text()
    images.path("x.vmdk").write_text(text + f"# comment{sign}RW 128 ZERO\n")
    assert describe_vmdk(images.listing, "x.vmdk").capacity_bytes == KIB64
    assert read_all(images, "x.vmdk") == images.read_by_qemu("x.vmdk")


LINES = {
    "other characters": "# \u00e9",
    "a name in other characters": 'ddb.comment = "\u00fc"',
    "a key that qemu does not find": 'encoding = "UTF-8"',
}


@pytest.mark.parametrize("name", sorted(LINES))
def test_the_gate_stops_descriptors_that_two_programs_read_differently(images: Any, name: str) -> None:
    images.sparse("x.vmdk", b"n" * KIB64)
    gate(images, "x.vmdk")
    text = images.path("x.vmdk").read_bytes()[512:].split(b"\0")[0]
    images.patch("x.vmdk", 512, text + LINES[name].encode() + b"\n")
    with pytest.raises(UnsafeImage, match="take for something else"):
        gate(images, "x.vmdk")
    assert read_all(images, "x.vmdk") == b"n" * KIB64


def test_the_gate_stops_an_extent_with_a_path_behind_its_name(images: Any) -> None:
    images.sparse("x.vmdk", b"n" * KIB64)
    text = images.path("x.vmdk").read_bytes()[512:].split(b"\0")[0]
    images.patch("x.vmdk", 512, text.replace(b'SPARSE "x.vmdk"', b'SPARSE "x.vmdk" 0 /etc/passwd'))
    with pytest.raises(UnsafeImage):
        gate(images, "x.vmdk")


@pytest.mark.parametrize(
    ("offset", "data"),
    [
        (-1024 + 4, b"\1"),  # another version
        (-1024 + 8, b"\0"),  # other flags
        (-1024 + 28, struct.pack("<Q", 2)),  # another descriptor
        (-1024 + 36, struct.pack("<Q", 19)),  # which is shorter
        (-1536 + 100, b"x"),  # something behind the markers
        (-512 + 100, b"x"),
    ],
)
def test_the_gate_stops_a_footer_that_leads_elsewhere_than_the_header(images: Any, offset: int, data: bytes) -> None:
    """qemu takes the whole footer for the header; oslo.utils refuses what this test made."""
    images.stream("x.vmdk", b"d" * KIB64 * 2)
    gate(images, "x.vmdk")
    images.patch("x.vmdk", offset, data)
    with pytest.raises(InputRefused):
        gate(images, "x.vmdk")


def test_sesparse_grains_lie_on_the_header(images: Any) -> None:
    """qemu takes a grain at byte 0 for none; the header is no part of the disk in any case."""
    images.sesparse("x.vmdk", b"s" * KIB64)
    images.patch("x-sesparse.vmdk", 24 * 8, struct.pack("<Q", 0))
    with pytest.raises(BadImage, match="on top of its metadata"):
        read_all(images, "x.vmdk")
