# SPDX-License-Identifier: Apache-2.0
"""Hostile QCOW2 images at the gate. Each test is named by its threat (CVE-2024-32498, CVE-2024-4467 and kin)."""

import struct
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from v2x.disks.probe import ImageFacts, check_image, check_overlay
from v2x.errors import BadImage, InputRefused, UnsafeImage, Unsupported
from v2x.model.machine import DiskFormat

MIB = 1 << 20


def gate(images: Any, name: str = "x.qcow2") -> ImageFacts:
    source = images.listing.open(name)
    try:
        return check_image(source, DiskFormat.QCOW2)
    finally:
        source.close()


def qemu_img(*words: object) -> None:
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True)


@pytest.fixture
def plain(images: Any, pattern: Callable[..., bytes]) -> str:
    return images.by_qemu("x.qcow2", pattern(3 * MIB, [(0, 100_000)]), format="qcow2")


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["compat=0.10"],
        ["cluster_size=512"],
        ["cluster_size=2M"],
        ["compression_type=zstd"],
        ["extended_l2=on", "cluster_size=128k"],
        ["lazy_refcounts=on"],
        ["refcount_bits=64"],
    ],
)
def test_the_gate_passes_what_qemu_writes(images: Any, pattern: Callable[..., bytes], options: list[str]) -> None:
    raw = pattern(3 * MIB + 512, [(MIB, 100_000)])
    images.by_qemu("x.qcow2", raw, *options, format="qcow2")
    facts = gate(images)
    assert facts.format is DiskFormat.QCOW2
    assert facts.size_bytes == len(raw)
    assert facts.variant == ("version 2" if options == ["compat=0.10"] else "version 3")


def test_the_gate_passes_snapshots_within_the_file(images: Any, plain: str) -> None:
    for name in ("one", "two with a longer name"):
        qemu_img("snapshot", "-c", name, images.path(plain))
    assert gate(images).size_bytes == 3 * MIB


@pytest.mark.parametrize(
    "backing",
    [
        "/etc/passwd",
        "../x.raw",
        "base.raw",
        "nbd://127.0.0.1/x",
        "nbd+unix:///?socket=/run/x.sock",
        'json:{"driver":"file","filename":"/etc/passwd"}',
        "json:{}",
        "fat:/etc",
    ],
)
@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_a_backing_file_is_named(images: Any, backing: str, format: str) -> None:
    qemu_img("create", "-f", "qcow2", "-u", "-b", backing, "-F", format, images.path("x.qcow2"), "1M")
    with pytest.raises(UnsafeImage, match="backing file"):
        gate(images)


def test_a_backing_file_is_named_by_its_length_alone(images: Any, plain: str) -> None:
    images.patch(plain, 16, struct.pack(">I", 11))
    with pytest.raises(UnsafeImage, match="backing file"):
        gate(images)


@pytest.mark.parametrize("target", ["data.raw", "/etc/passwd", 'json:{"driver":"host_device","filename":"/dev/sda"}'])
def test_an_external_data_file_is_named(images: Any, target: str) -> None:
    images.path("d.raw").write_bytes(bytes(MIB))
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={images.path('d.raw')}", images.path("x.qcow2"), "1M")
    content = images.path("x.qcow2").read_bytes()
    old = str(images.path("d.raw")).encode()
    images.patch("x.qcow2", content.index(old), target.encode().ljust(len(old), b"\0")[: len(old)])
    with pytest.raises(UnsafeImage, match="another file"):
        gate(images)
    # The name alone, without the feature bit, is refused as well.
    images.patch("x.qcow2", 72, struct.pack(">Q", 0))
    with pytest.raises(UnsafeImage, match="data file"):
        gate(images)


@pytest.mark.parametrize("bit", [5, 6, 31, 63])
def test_an_unknown_incompatible_feature_is_set(images: Any, plain: str, bit: int) -> None:
    images.patch(plain, 72, struct.pack(">Q", 1 << bit))
    with pytest.raises(Unsupported, match=f"bits {1 << bit:#x}"):
        gate(images)


def test_the_image_is_marked_corrupt(images: Any, plain: str) -> None:
    images.patch(plain, 72, struct.pack(">Q", 2))
    with pytest.raises(BadImage, match="corrupt"):
        gate(images)


@pytest.mark.parametrize("method", [1, 2, 77])
def test_the_image_is_encrypted(images: Any, plain: str, method: int) -> None:
    images.patch(plain, 32, struct.pack(">I", method))
    with pytest.raises(Unsupported, match="encrypted"):
        gate(images)


ABUSE = {
    "other magic": (0, b"QFI\0", BadImage),
    "version 1": (4, struct.pack(">I", 1), Unsupported),
    "version 4": (4, struct.pack(">I", 4), Unsupported),
    "cluster bits 0": (20, struct.pack(">I", 0), BadImage),
    "cluster bits 63": (20, struct.pack(">I", 63), BadImage),
    "cluster bits 2^32-1": (20, struct.pack(">I", 0xFFFFFFFF), BadImage),
    "size 2^63": (24, struct.pack(">Q", 1 << 63), BadImage),
    "size just beyond 64 TiB": (24, struct.pack(">Q", (64 << 40) + 512), BadImage),
    "level-1 table too short": (36, struct.pack(">I", 0), BadImage),
    "level-1 table of 32 GiB": (36, struct.pack(">I", 0xFFFFFFFF), BadImage),
    "level-1 table beyond the file": (40, struct.pack(">Q", 1 << 40), BadImage),
    "level-1 table over the header": (40, struct.pack(">Q", 0), BadImage),
    "level-1 table unaligned": (40, struct.pack(">Q", 65536 * 3 + 8), BadImage),
    "level-1 table at 2^63": (40, struct.pack(">Q", 1 << 63), BadImage),
    "reference counts beyond the file": (48, struct.pack(">Q", 1 << 50), BadImage),
    "no reference counts": (56, struct.pack(">I", 0), BadImage),
    "reference counts of 2^48 bytes": (56, struct.pack(">I", 0xFFFFFFFF), BadImage),
    "2^32 snapshots": (60, struct.pack(">I", 0xFFFFFFFF), BadImage),
    "snapshots without a table": (60, struct.pack(">I", 1), BadImage),
    "reference count order 2^32-1": (96, struct.pack(">I", 0xFFFFFFFF), BadImage),
    "header length 0": (100, struct.pack(">I", 0), BadImage),
    "header length 2^32-8": (100, struct.pack(">I", 0xFFFFFFF8), BadImage),
    "compression without its bit": (104, b"\1", Unsupported),
    "unknown compression": (104, b"\x09", Unsupported),
    "first extension longer than the header": (116, struct.pack(">I", 0xFFFFFFFF), BadImage),
    "encryption extension": (112, struct.pack(">I", 0x0537BE77), Unsupported),
}


@pytest.mark.parametrize("abuse", list(ABUSE))
def test_a_header_abuses_integers(images: Any, plain: str, abuse: str) -> None:
    offset, data, error = ABUSE[abuse]
    images.patch(plain, offset, data)
    with pytest.raises(error):
        gate(images)


@pytest.mark.parametrize("keep", [0, 3, 71, 100, 104, 130, 65536, 200_000])
def test_the_image_is_truncated(images: Any, plain: str, keep: int) -> None:
    """qemu reads what is missing at the end as zeros, without a word."""
    with images.path(plain).open("r+b") as file:
        file.truncate(keep)
    with pytest.raises(BadImage):
        gate(images)


@pytest.mark.parametrize("options", [[], ["extended_l2=on", "cluster_size=128k"], ["cluster_size=4k"]])
def test_a_data_cluster_lies_beyond_the_file(images: Any, pattern: Callable[..., bytes], options: list[str]) -> None:
    raw = pattern(3 * MIB, [(0, 3 * MIB)])
    images.by_qemu("x.qcow2", raw, *options, format="qcow2")
    assert gate(images).size_bytes == len(raw)
    size = images.path("x.qcow2").stat().st_size
    with images.path("x.qcow2").open("r+b") as file:
        file.truncate(size - MIB)
    with pytest.raises(BadImage, match="a cluster of"):
        gate(images)


def test_a_compressed_cluster_lies_beyond_the_file(images: Any, pattern: Callable[..., bytes]) -> None:
    images.raw("x.raw", pattern(3 * MIB, [(0, 3 * MIB)]))
    qemu_img("convert", "-c", "-f", "raw", "-O", "qcow2", images.path("x.raw"), images.path("x.qcow2"))
    assert gate(images).size_bytes == 3 * MIB
    with images.path("x.qcow2").open("r+b") as file:
        file.truncate(MIB)
    with pytest.raises(BadImage, match="a cluster of"):
        gate(images)


def test_a_level_2_table_lies_beyond_the_file_or_is_not_aligned(images: Any, plain: str) -> None:
    (level1,) = struct.unpack_from(">Q", images.path(plain).read_bytes(), 40)
    for entry in (1 << 63 | 1 << 40, 1 << 63 | 65536 * 4 + 512, 1 << 63 | 512):
        images.patch(plain, level1, struct.pack(">Q", entry))
        with pytest.raises(BadImage, match="level-2 table"):
            gate(images)


@pytest.mark.parametrize(
    ("offset", "data"),
    [
        (0, struct.pack(">Q", 1 << 50)),  # its level-1 table lies beyond the file
        (8, struct.pack(">I", 0xFFFFFFFF)),  # that table is endless
        (36, struct.pack(">I", 0xFFFFFFFF)),  # endless extra data
    ],
)
def test_a_snapshot_abuses_integers(images: Any, plain: str, offset: int, data: bytes) -> None:
    qemu_img("snapshot", "-c", "one", images.path(plain))
    (table,) = struct.unpack_from(">Q", images.path(plain).read_bytes(), 64)
    images.patch(plain, table + offset, data)
    with pytest.raises(BadImage):
        gate(images)


def test_a_snapshot_table_runs_out_of_the_file(images: Any, plain: str) -> None:
    qemu_img("snapshot", "-c", "one", images.path(plain))
    images.patch(plain, 60, struct.pack(">I", 60000))
    with pytest.raises(BadImage):
        gate(images)


def test_a_raw_disk_begins_with_a_qcow2_header(images: Any, plain: str) -> None:
    """The guest writes a header that names a host file: as raw it is only bytes, and says no size of its own."""
    source = images.listing.open(plain)
    facts = check_image(source, DiskFormat.RAW)
    assert facts.size_bytes == source.size
    source.close()


@pytest.mark.parametrize("format", [DiskFormat.VMDK, DiskFormat.VHD, DiskFormat.VHDX])
def test_another_format_is_claimed_than_the_file_has(images: Any, plain: str, format: DiskFormat) -> None:
    source = images.listing.open(plain)
    with pytest.raises(InputRefused):
        check_image(source, format)
    source.close()


SOCKET = "/run/v2x/disk-0.sock"


def overlay(images: Any, backing: str = f"nbd+unix:///?socket={SOCKET}", format: str = "raw") -> Any:
    path = images.path("overlay.qcow2")
    qemu_img("create", "-f", "qcow2", "-u", "-b", backing, "-F", format, path, "8M")
    return path


def test_the_overlay_on_our_own_export_passes(images: Any) -> None:
    assert check_overlay(overlay(images), SOCKET).size_bytes == 8 * MIB


@pytest.mark.parametrize(
    "backing",
    [
        f"nbd+unix:///?socket={SOCKET}x",
        f"nbd+unix:///?socket={SOCKET[:-1]}",
        f"nbd+unix:///export?socket={SOCKET}",
        f"nbd+unix:///?socket={SOCKET}&socket=/etc/x",
        f"nbd:unix:{SOCKET}",
        "/etc/passwd",
        'json:{"driver":"nbd"}',
    ],
)
def test_an_overlay_names_another_backing(images: Any, backing: str) -> None:
    with pytest.raises(UnsafeImage):
        check_overlay(overlay(images, backing), SOCKET)


def test_an_overlay_has_its_backing_read_as_something_else(images: Any) -> None:
    with pytest.raises(UnsafeImage):
        check_overlay(overlay(images, format="qcow2"), SOCKET)


def test_an_overlay_has_no_backing_format_so_that_it_would_be_probed(images: Any) -> None:
    path = overlay(images)
    content = path.read_bytes()
    images.patch("overlay.qcow2", content.index(struct.pack(">I", 0xE2792ACA), 104), struct.pack(">I", 0x12345678))
    with pytest.raises(UnsafeImage):
        check_overlay(path, SOCKET)


def test_an_overlay_without_backing_does_not_pass(images: Any, plain: str) -> None:
    with pytest.raises(UnsafeImage):
        check_overlay(images.path(plain), SOCKET)


@pytest.mark.parametrize("length", [0, 1024, 0xFFFFFFFF])
def test_an_overlays_backing_name_abuses_integers(images: Any, length: int) -> None:
    path = overlay(images)
    images.patch("overlay.qcow2", 16, struct.pack(">I", length))
    with pytest.raises(InputRefused):
        check_overlay(path, SOCKET)


@pytest.mark.parametrize("socket", ["relative.sock", "/a?b", "/a&b", "/a%41", "/a b", "/a#b", "/a\0b", ""])
def test_a_socket_path_that_a_uri_would_change_is_refused(images: Any, socket: str) -> None:
    with pytest.raises(UnsafeImage):
        check_overlay(overlay(images), socket)


def test_an_overlay_is_a_link(images: Any) -> None:
    overlay(images)
    images.path("link.qcow2").symlink_to(images.path("overlay.qcow2"))
    with pytest.raises(UnsafeImage, match="symbolic link"):
        check_overlay(images.path("link.qcow2"), SOCKET)
