# SPDX-License-Identifier: Apache-2.0
"""QCOW2 by its own tables, beside what the conformance suite asks of every reader."""

import struct
import subprocess
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.images import CountingListing, up
from v2x.disks.extent import Extent
from v2x.disks.interface import SeveralAtOnce
from v2x.disks.qcow2 import open_qcow2
from v2x.errors import BadImage, UnsafeImage, Unsupported
from v2x.model.machine import DiskFormat
from v2x.sources.images import open_image

KIB64 = 65536
MIB = 1 << 20


def read(reader: Any, start: int, length: int) -> bytes:
    buffer = bytearray(b"\xee" * length)
    reader.read_into(start, buffer)
    return bytes(buffer)


def entry_at(images: Any, name: str, cluster: int) -> int:
    """Where the entry of a cluster of the only level-2 table lies."""
    content = images.path(name).read_bytes()
    (level1,) = struct.unpack_from(">Q", content, 40)
    (level2,) = struct.unpack_from(">Q", content, level1)
    return (level2 & 0x00FFFFFFFFFFFE00) + cluster * 8


@pytest.fixture
def raw(pattern: Callable[..., bytes]) -> bytes:
    return pattern(5 * MIB, [(0, 100_000), (2 * MIB, MIB)])


def test_own_images_are_what_qemu_reads(images: Any, raw: bytes) -> None:
    """The test's writer is no private language."""
    images.qcow2("x.qcow2", raw, shuffle=3)
    assert images.read_by_qemu("x.qcow2", "qcow2") == raw


def test_the_map_is_told_from_the_tables_alone(images: Any, raw: bytes) -> None:
    images.by_qemu("x.qcow2", raw, format="qcow2")
    listing = CountingListing(images.listing)
    reader = open_qcow2(listing, "x.qcow2")
    listing.reads.clear()
    assert [(one.start, one.end) for one in reader.extents(0, len(raw)) if one.data] == [
        (0, 102_400),
        (2 * MIB, 3 * MIB),
    ]
    assert sum(length for _, length in listing.reads) < 2 * KIB64
    reader.close()


def test_tables_are_read_when_they_are_needed(images: Any) -> None:
    """A disk of 8 GiB with two level-2 tables that are far apart."""
    with images.path("x.raw").open("wb") as file:
        for at in (0, 8 << 30):
            file.seek(at)
            file.write(b"x" * 4096)
    subprocess.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", images.path("x.raw"), images.path("x.qcow2")], check=True
    )
    listing = CountingListing(images.listing)
    reader = open_qcow2(listing, "x.qcow2")
    listing.reads.clear()
    assert read(reader, 8 << 30, 2) == b"xx"
    assert sum(length for _, length in listing.reads) < 2 * KIB64
    reader.close()


def test_clusters_set_aside_and_never_written_are_zeros(images: Any, raw: bytes) -> None:
    images.by_qemu("x.qcow2", raw, "preallocation=metadata", format="qcow2")
    reader = open_qcow2(images.listing, "x.qcow2")
    assert sum(one.length for one in reader.extents(0, len(raw)) if one.data) <= 131072 + MIB
    reader.close()


def test_compressed_clusters_in_order_are_read_in_large_pieces(images: Any, pattern: Callable[..., bytes]) -> None:
    raw = pattern(4 * MIB, [(at, 20_000) for at in range(0, 4 * MIB, KIB64)])
    images.by_qemu("x.qcow2", raw, format="qcow2", compressed=True)
    listing = CountingListing(images.listing)
    reader = open_qcow2(listing, "x.qcow2")
    assert list(reader.extents(0, len(raw))) == [Extent(0, len(raw), True)]
    listing.reads.clear()
    assert b"".join(read(reader, at, 2 * MIB) for at in (0, 2 * MIB)) == raw
    assert len(listing.reads) == 4 * MIB // (512 << 10)
    listing.reads.clear()
    assert b"".join(read(reader, at, 4096) for at in range(5 * KIB64, 6 * KIB64, 4096)) == raw[5 * KIB64 : 6 * KIB64]
    assert len(listing.reads) == 1
    reader.close()


@pytest.mark.parametrize("options", [["compression_type=zstd"], ["extended_l2=on", "cluster_size=128k"]])
def test_what_only_qemu_reads_is_left_to_it(images: Any, raw: bytes, options: list[str]) -> None:
    images.by_qemu("x.qcow2", raw, *options, format="qcow2", compressed=options == ["compression_type=zstd"])
    assert open_qcow2(images.listing, "x.qcow2") is None
    reader = open_image(images.listing, ["x.qcow2"], DiskFormat.QCOW2)
    assert isinstance(reader, SeveralAtOnce)
    assert read(reader, 0, len(raw)) == raw
    reader.close()


def test_all_others_need_no_other_program(images: Any, raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    images.by_qemu("x.qcow2", raw, format="qcow2", compressed=True)
    monkeypatch.setenv("PATH", "/nowhere")
    reader = open_image(images.listing, ["x.qcow2"], DiskFormat.QCOW2)
    assert read(reader, 0, len(raw)) == raw
    reader.close()


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_that_is_cut_off_is_refused_where_it_is_read(images: Any, raw: bytes, compressed: bool) -> None:
    images.by_qemu("x.qcow2", raw, format="qcow2", compressed=compressed)
    size = images.path("x.qcow2").stat().st_size
    with images.path("x.qcow2").open("r+b") as file:
        file.truncate(size - (700_000 if not compressed else 400_000))
    reader = open_qcow2(images.listing, "x.qcow2")
    with pytest.raises(BadImage):
        read(reader, 0, len(raw))
    reader.close()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (1 << 63 | 1 << 50, "lies outside the file"),
        (1 << 63 | 5 * KIB64 + 512, "which is no cluster"),
        (1 << 62 | 1 << 40, "lies outside the file"),
        (0x3FFFFFFFFFFF0000, "lies outside the file"),
    ],
)
def test_an_entry_that_no_writer_makes_is_refused(images: Any, raw: bytes, entry: int, words: str) -> None:
    images.by_qemu("x.qcow2", raw, format="qcow2")
    images.patch("x.qcow2", entry_at(images, "x.qcow2", 0), struct.pack(">Q", entry))
    reader = open_qcow2(images.listing, "x.qcow2")
    with pytest.raises(BadImage, match=words):
        read(reader, 0, 512)
    with pytest.raises(BadImage, match=words):
        list(reader.extents(0, len(raw)))
    reader.close()


def test_entries_that_count_on_into_another_kind_are_refused(images: Any, raw: bytes) -> None:
    """As numbers they are a run; the second one is a compressed cluster."""
    images.by_qemu("x.qcow2", raw, format="qcow2")
    last = (1 << 62) - KIB64
    images.patch("x.qcow2", entry_at(images, "x.qcow2", 0), struct.pack(">2Q", last, last + KIB64))
    reader = open_qcow2(images.listing, "x.qcow2")
    with pytest.raises(BadImage, match="lies outside the file"):
        read(reader, KIB64, 512)
    reader.close()


def test_zeros_by_an_entry_are_not_known_to_version_2(images: Any, raw: bytes) -> None:
    images.by_qemu("x.qcow2", raw, "compat=0.10", format="qcow2")
    images.patch("x.qcow2", entry_at(images, "x.qcow2", 20), struct.pack(">Q", 1))
    reader = open_qcow2(images.listing, "x.qcow2")
    with pytest.raises(BadImage, match="version 2"):
        read(reader, 0, 512)
    reader.close()


@pytest.mark.parametrize("entry", [1 << 63 | 1 << 40, 1 << 63 | 512, 1 << 63])
def test_a_table_that_is_no_cluster_of_the_file_is_refused(images: Any, raw: bytes, entry: int) -> None:
    images.by_qemu("x.qcow2", raw, format="qcow2")
    (level1,) = struct.unpack_from(">Q", images.path("x.qcow2").read_bytes(), 40)
    images.patch("x.qcow2", level1, struct.pack(">Q", entry))
    reader = open_qcow2(images.listing, "x.qcow2")
    with pytest.raises(BadImage):
        read(reader, 0, 512)
    reader.close()


def test_a_damaged_compressed_cluster_is_named(images: Any, raw: bytes) -> None:
    images.by_qemu("x.qcow2", raw, format="qcow2", compressed=True)
    (entry,) = struct.unpack_from(">Q", images.path("x.qcow2").read_bytes(), entry_at(images, "x.qcow2", 0))
    images.patch("x.qcow2", entry & (1 << 54) - 1, b"\xff" * 40)
    reader = open_qcow2(images.listing, "x.qcow2")
    for length in (512, len(raw)):
        with pytest.raises(BadImage, match=r"cluster 0 of x\.qcow2"):
            read(reader, 0, length)
    assert read(reader, KIB64, 512) == raw[KIB64 : KIB64 + 512]
    reader.close()


@pytest.mark.parametrize(
    ("content", "ends", "words"),
    [
        (bytes(KIB64 + 1), True, "inflates to more than"),
        (bytes(KIB64 - 1), True, "inflates to 65,535 of"),
        (bytes(KIB64), False, "ends early"),
        (bytes(60_000_000), True, "inflates to more than"),
    ],
)
def test_a_compressed_cluster_of_another_length_is_refused(
    images: Any, raw: bytes, content: bytes, ends: bool, words: str
) -> None:
    images.by_qemu("x.qcow2", raw, format="qcow2", compressed=True)
    packer = zlib.compressobj(9, zlib.DEFLATED, -12)
    stream = packer.compress(content) + packer.flush(zlib.Z_FINISH if ends else zlib.Z_SYNC_FLUSH)
    place = up(images.path("x.qcow2").stat().st_size, KIB64)
    images.patch(
        "x.qcow2", entry_at(images, "x.qcow2", 0), struct.pack(">Q", 1 << 62 | len(stream) // 512 << 54 | place)
    )
    with images.path("x.qcow2").open("r+b") as file:
        file.seek(place)
        file.write(stream)
    reader = open_qcow2(images.listing, "x.qcow2")
    with pytest.raises(BadImage, match=words):
        read(reader, 0, 512)
    reader.close()


def test_a_size_that_is_no_whole_sectors_is_refused(images: Any, raw: bytes) -> None:
    images.by_qemu("x.qcow2", raw, format="qcow2")
    images.patch("x.qcow2", 24, struct.pack(">Q", len(raw) - 100))
    with pytest.raises(Unsupported, match="no whole sectors") as refused:
        open_qcow2(images.listing, "x.qcow2")
    assert "qemu-img resize -f qcow2 x.qcow2 5242880" in refused.value.hint


def test_a_backing_file_is_refused_before_anything_is_read(images: Any) -> None:
    images.by_qemu("x.qcow2", bytes(MIB), format="qcow2")
    images.patch("x.qcow2", 8, struct.pack(">QI", 512, 11))
    images.patch("x.qcow2", 512, b"/etc/passwd")
    with pytest.raises(UnsafeImage, match="backing file"):
        open_qcow2(images.listing, "x.qcow2")
