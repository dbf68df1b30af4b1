# SPDX-License-Identifier: Apache-2.0
"""Each upload format: exact length, and the bytes an independent reader gets out of it."""

import hashlib
import io
import random
import struct
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest
import xxhash

from v2x.model.target import UploadFormat
from v2x.model.units import KIB, MIB
from v2x.target.chunks import ChunkedDisk
from v2x.target.xapi.streams import Stream, opener

BLOCK = 2 * MIB
SIZES = [2 * MIB, 7 * MIB, 8 * MIB, 6 * MIB + 64 * KIB, 5 * MIB + 512 * KIB]
CHOICES = [[], [0], [1], [0, 2], [0, 1, 2, 3]]


def made(upload_format: UploadFormat, size: int, blocks: Sequence[int]) -> Stream:
    return opener(upload_format, new_uuid=lambda: UUID(int=7), clock=lambda: 1_700_000_000.0)(size, blocks)


def content(number: int, length: int) -> bytearray:
    return bytearray(random.Random(number).randbytes(length))


def streamed(upload_format: UploadFormat, size: int, blocks: Sequence[int], *, short: int = 0) -> tuple[bytes, bytes]:
    """The stream and the disk it stands for. `short` bytes are missing at the end of the last block as written."""
    stream, disk, out = made(upload_format, size, blocks), bytearray(size), bytearray()
    for piece in stream.head():
        out += piece
    for number in blocks:
        length = min(BLOCK, size - number * BLOCK)
        if number * BLOCK + length == size:
            length -= short
        data = content(number, length)
        disk[number * BLOCK : number * BLOCK + length] = data
        for piece in stream.block(number, memoryview(data)):
            out += piece
    for piece in stream.foot():
        out += piece
    assert len(out) == stream.content_length
    return bytes(out), bytes(disk)


def cases() -> list[tuple[int, list[int]]]:
    return [(size, [b for b in blocks if b * BLOCK < size]) for size in SIZES for blocks in CHOICES]


@pytest.mark.parametrize(("size", "blocks"), cases())
@pytest.mark.parametrize("short", [0, 1024])
def test_raw_is_the_whole_disk(size: int, blocks: list[int], short: int) -> None:
    stream, disk = streamed(UploadFormat.RAW, size, blocks, short=short)
    assert stream == disk


@pytest.mark.parametrize(("size", "blocks"), cases())
def test_chunked_carries_the_blocks_and_its_terminator(size: int, blocks: list[int]) -> None:
    stream, disk = streamed(UploadFormat.CHUNKED, size, blocks, short=512)
    got, at = bytearray(size), 0
    while True:
        offset, length = struct.unpack_from("<QI", stream, at)
        at += 12
        if length == 0:
            break
        got[offset : offset + length] = stream[at : at + length]
        at += length
    assert at == len(stream)
    assert bytes(got) == disk


@pytest.mark.parametrize(("size", "blocks"), cases())
def test_tar_has_first_and_last_chunk_and_right_checksums(size: int, blocks: list[int]) -> None:
    stream, disk = streamed(UploadFormat.TAR, size, blocks, short=512)
    got, numbers = bytearray(size), []
    with tarfile.open(fileobj=io.BytesIO(stream), mode="r:") as archive:
        members = archive.getmembers()
        for data, check in zip(members[::2], members[1::2], strict=True):
            raw = archive.extractfile(data).read()
            assert check.name == f"{data.name}.xxhash"
            assert archive.extractfile(check).read() == xxhash.xxh64(raw).hexdigest().upper().encode()
            number = int(data.name.removeprefix("vdi/"))
            numbers.append(number)
            got[number * MIB : number * MIB + len(raw)] = raw
    assert bytes(got) == disk
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 0 and numbers[-1] == -(-size // MIB) - 1
    assert stream.endswith(bytes(1024))


@pytest.mark.parametrize("upload_format", [UploadFormat.VHD, UploadFormat.QCOW2])
@pytest.mark.parametrize("size", [2 * MIB, 8 * MIB, 6 * MIB + 64 * KIB])
def test_images_read_back_equal_in_qemu(tmp_path: Path, upload_format: UploadFormat, size: int) -> None:
    blocks = [b for b in (0, 2, 3) if b * BLOCK < size]
    stream, disk = streamed(upload_format, size, blocks, short=512)
    image, raw = tmp_path / "image", tmp_path / "raw"
    image.write_bytes(stream)
    kind = {"vhd": "vpc", "qcow2": "qcow2"}[upload_format]
    subprocess.run(["qemu-img", "convert", "-f", kind, "-O", "raw", str(image), str(raw)], check=True, timeout=60)
    assert hashlib.sha256(raw.read_bytes()).digest() == hashlib.sha256(disk).digest()


def test_chunks_refuse_data_out_of_order() -> None:
    disk = ChunkedDisk("vdi", 8 * MIB)
    list(disk.pieces(2 * MIB, bytearray(MIB)))
    with pytest.raises(ValueError, match="order"):
        list(disk.pieces(2 * MIB, bytearray(MIB)))
    with pytest.raises(ValueError, match="order"):
        list(disk.pieces(5 * MIB + 512, bytearray(MIB)))


@pytest.mark.parametrize("size", [0, -1, 513])
def test_chunks_need_whole_sectors(size: int) -> None:
    with pytest.raises(ValueError, match="sectors"):
        ChunkedDisk("vdi", size)
