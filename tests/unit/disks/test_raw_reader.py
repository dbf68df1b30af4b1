# SPDX-License-Identifier: Apache-2.0
"""Raw disks: holes, and files that end inside a sector."""

from typing import Any

from v2x.disks.extent import Extent
from v2x.disks.raw import RawReader


def test_a_file_that_ends_inside_a_sector_is_filled_with_zeros_as_qemu_does(images: Any) -> None:
    images.path("x.raw").write_bytes(b"x" * 1300)
    reader = RawReader(images.listing.open("x.raw"))
    assert reader.size == 1536
    buffer = bytearray(b"\xff" * 1536)
    reader.read_into(0, buffer)
    assert buffer == b"x" * 1300 + bytes(236)
    assert bytes(buffer) == images.read_by_qemu("x.raw", "raw")
    buffer = bytearray(b"\xff" * 100)
    reader.read_into(1400, buffer)
    assert buffer == bytes(100)
    assert list(reader.extents(1200, 336)) == [Extent(1200, 100, True), Extent(1300, 236, False)]
    reader.close()


def test_holes_are_zero_extents(images: Any) -> None:
    images.raw("x.raw", bytes(1 << 20) + b"d" * 65536 + bytes(1 << 20))
    reader = RawReader(images.listing.open("x.raw"))
    assert list(reader.extents(0, reader.size)) == [
        Extent(0, 1 << 20, False),
        Extent(1 << 20, 65536, True),
        Extent((1 << 20) + 65536, 1 << 20, False),
    ]
    reader.close()


def test_an_empty_file_is_an_empty_disk(images: Any) -> None:
    images.path("x.raw").write_bytes(b"")
    reader = RawReader(images.listing.open("x.raw"))
    assert reader.size == 0
    reader.read_into(0, bytearray())
    assert list(reader.extents(0, 0)) == []
    reader.close()


def test_the_format_is_never_guessed_from_what_the_guest_wrote(images: Any) -> None:
    """Threat: a guest writes the header of another format at the start of its raw disk."""
    for magic in (b"QFI\xfb\0\0\0\x03", b"KDMV\1\0\0\0", b"vhdxfile", b"# Disk DescriptorFile\n"):
        images.path("x.raw").write_bytes(magic.ljust(4096, b"\7"))
        reader = RawReader(images.listing.open("x.raw"))
        buffer = bytearray(4096)
        reader.read_into(0, buffer)
        assert buffer == magic.ljust(4096, b"\7")
        reader.close()
