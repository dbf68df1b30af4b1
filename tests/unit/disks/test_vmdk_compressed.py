# SPDX-License-Identifier: Apache-2.0
"""streamOptimized: order of grains, read-ahead, and damage that is told to who meets it."""

import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.images import CountingListing
from v2x.disks.vmdk import open_vmdk
from v2x.errors import BadImage

MIB = 1 << 20
GRAIN = 65536


def grain_offset(images: Any, name: str, number: int) -> int:
    """Where the marker of a grain lies, found by looking for it."""
    content = images.path(name).read_bytes()
    for at in range(128 * 512, len(content), 512):
        sector, size, kind = struct.unpack_from("<QIH", content, at)
        if sector == number * 128 and size and kind in {0x9C78, 0x0178, 0x5E78, 0xDA78}:
            return at
    raise AssertionError(f"grain {number} is not there")


@pytest.fixture
def raw(pattern: Callable[..., bytes]) -> bytes:
    return pattern(6 * MIB + 1536, [(0, 6 * MIB + 1536)])


def read(reader: Any, offset: int, length: int) -> bytes:
    buffer = bytearray(length)
    reader.read_into(offset, buffer)
    return bytes(buffer)


def test_reading_in_order_reads_the_file_once_in_large_pieces(images: Any, raw: bytes) -> None:
    images.stream("s.vmdk", raw)
    listing = CountingListing(images.listing)
    reader = open_vmdk(listing, "s.vmdk")
    listing.reads.clear()
    assert b"".join(read(reader, at, min(MIB, len(raw) - at)) for at in range(0, len(raw), MIB)) == raw
    stored = images.path("s.vmdk").stat().st_size
    # Each batch of grains is one read, and what it reads beyond its last grain is less than two grains.
    assert len(listing.reads) < 30
    assert sum(length for _, length in listing.reads) < 1.4 * stored
    reader.close()


def test_small_reads_inside_one_grain_inflate_it_once(images: Any, raw: bytes) -> None:
    images.stream("s.vmdk", raw)
    listing = CountingListing(images.listing)
    reader = open_vmdk(listing, "s.vmdk")
    read(reader, 5 * GRAIN, 512)
    listing.reads.clear()
    for at in range(5 * GRAIN, 6 * GRAIN, 4096):
        assert read(reader, at, 4096) == raw[at : at + 4096]
    assert listing.reads == []
    reader.close()


def test_grains_in_any_order_of_the_file_are_found(images: Any, raw: bytes) -> None:
    """Two grains exchanged in the file, with table entries that say so: slow but right."""
    raw = b"".join(bytes([number]) * GRAIN for number in range(4))
    images.stream("s.vmdk", raw)
    content = images.path("s.vmdk").read_bytes()
    first, second = grain_offset(images, "s.vmdk", 1), grain_offset(images, "s.vmdk", 2)
    images.patch("s.vmdk", first, content[second : second + 512])
    images.patch("s.vmdk", second, content[first : first + 512])
    table = content.index(struct.pack("<4I", 128, first // 512, second // 512, second // 512 + 1))
    images.patch("s.vmdk", table + 4, struct.pack("<2I", second // 512, first // 512))
    reader = open_vmdk(images.listing, "s.vmdk")
    assert read(reader, 0, len(raw)) == raw
    reader.close()


def test_the_last_grain_may_be_stored_whole_or_short(images: Any) -> None:
    for stored in (512, GRAIN):
        images.stream("s.vmdk", b"e" * 512)
        packed = zlib.compress(b"e" * stored)
        images.patch("s.vmdk", 128 * 512, struct.pack("<QI", 0, len(packed)) + packed)
        reader = open_vmdk(images.listing, "s.vmdk")
        assert read(reader, 0, 512) == b"e" * 512
        reader.close()


def test_a_grain_that_grew_by_compression_is_read(images: Any) -> None:
    """Deflate of random bytes in stored blocks is longer than the grain; so is one cut into many small blocks."""
    noise = random.Random(1).randbytes(2 * GRAIN)
    packer = zlib.compressobj(1)
    long = b"".join(
        packer.compress(noise[at : at + 64]) + packer.flush(zlib.Z_FULL_FLUSH) for at in range(0, GRAIN, 64)
    )
    long += packer.flush()
    assert GRAIN + 1024 < len(long) < 2 * GRAIN
    images.stream("s.vmdk", noise)
    content = bytearray(images.path("s.vmdk").read_bytes())
    at = grain_offset(images, "s.vmdk", 0)
    place = len(content) // 512
    entry = content.index(struct.pack("<2I", at // 512, grain_offset(images, "s.vmdk", 1) // 512))
    struct.pack_into("<I", content, entry, place)
    tail = content[-1536:]
    content += struct.pack("<QI", 0, len(long)) + long
    content += bytes(-len(content) % 512) + tail
    images.path("s.vmdk").write_bytes(content)
    reader = open_vmdk(images.listing, "s.vmdk")
    assert read(reader, 0, len(noise)) == noise
    reader.close()


def test_damage_further_on_does_not_fail_a_read_before_it(images: Any, raw: bytes) -> None:
    images.stream("s.vmdk", raw)
    images.patch("s.vmdk", grain_offset(images, "s.vmdk", 40) + 2000, b"\xff" * 64)
    reader = open_vmdk(images.listing, "s.vmdk")
    step = 4 * GRAIN
    for at in range(0, 40 * GRAIN, step):
        assert read(reader, at, step) == raw[at : at + step]
    with pytest.raises(BadImage, match=r"grain 40 of s\.vmdk is damaged"):
        read(reader, 40 * GRAIN, step)
    with pytest.raises(BadImage, match=r"grain 40 of s\.vmdk is damaged"):
        read(reader, 40 * GRAIN, step)
    assert read(reader, 41 * GRAIN, step) == raw[41 * GRAIN : 45 * GRAIN]
    reader.close()


def test_a_compressed_extent_without_a_descriptor_is_a_disk(images: Any, raw: bytes) -> None:
    images.stream("s.vmdk", raw)
    images.patch("s.vmdk", 28, bytes(16))
    reader = open_vmdk(images.listing, "s.vmdk")
    assert read(reader, 0, len(raw)) == raw
    reader.close()
