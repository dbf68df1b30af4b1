# SPDX-License-Identifier: Apache-2.0
"""Raw files and the chunked framing."""

import struct
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from v2x.disks.extent import Extent
from v2x.disks.interface import Buffer
from v2x.disks.stream.feed import Block, ZeroTest, data_blocks, read_blocks
from v2x.disks.stream.raw import CHUNKED_END, chunk_header, write_raw
from v2x.errors import SourceError

MIB = 1 << 20


def test_file_equals_source(shape: Path, tmp_path: Path, raw_disk: type, qemu_img: object, allocated: object) -> None:
    seen: list[int] = []
    target = tmp_path / "out.raw"
    with open(target, "w+b", buffering=0) as out:
        write_raw(raw_disk.open(shape), out, progress=seen.append)
    assert target.stat().st_size == shape.stat().st_size == sum(seen)
    qemu_img.compare(shape, target, "raw")
    assert allocated(target) <= allocated(shape) + 64 * 1024 * 32


def test_zeros_become_holes(make_disk: object, raw_disk: type, tmp_path: Path, allocated: object) -> None:
    source = make_disk(8 * MIB, [])
    with open(source, "r+b") as file:
        file.write(bytes(8 * MIB))
        file.seek(3 * MIB)
        file.write(b"x")
    target = tmp_path / "out.raw"
    with open(target, "w+b") as out:
        write_raw(raw_disk.open(source), out)
    assert target.read_bytes() == source.read_bytes()
    assert allocated(target) <= 128 * 1024 < allocated(source)


def test_chunks_are_framed_as_xapi_reads_them() -> None:
    stream = chunk_header(5 << 40, 512) + b"d" * 512 + chunk_header(0, 1024) + b"e" * 1024 + CHUNKED_END
    found = []
    while True:
        offset, length = struct.unpack_from("<QI", stream)
        stream = stream[12:]
        if (offset, length) == (0, 0):
            break
        found.append((offset, length))
        stream = stream[length:]
    assert found == [(5 << 40, 512), (0, 1024)]
    assert stream == b""


@pytest.mark.parametrize(("offset", "length"), [(0, 0), (1, 512), (0, 100), (0, 1 << 31), (-512, 512)])
def test_wrong_chunks_are_refused(offset: int, length: int) -> None:
    with pytest.raises(ValueError, match="not a chunk"):
        chunk_header(offset, length)


class Failing:
    """A disk of 8 blocks of 1 MiB whose block 5 cannot be read."""

    size = 8 * MIB
    block = MIB

    def __init__(self) -> None:
        self.read: list[int] = []

    def read_into(self, offset: int, buffer: bytearray) -> None:
        self.read.append(offset // MIB)
        if offset == 5 * MIB:
            raise SourceError("the cable came out")
        buffer[:] = bytes([offset // MIB + 1]) * len(buffer)

    def extents(self, start: int, length: int) -> list[Extent]:
        return [Extent(start, length, True)]


def test_an_error_of_the_reader_comes_in_its_place() -> None:
    disk = Failing()
    seen = []
    with pytest.raises(SourceError, match="cable"):
        for block in read_blocks(disk, data_blocks(disk, MIB), block_bytes=MIB):
            seen.append(block.number)
            assert block.buffer == bytes([block.number + 1]) * MIB
    assert seen == [0, 1, 2, 3, 4]


def test_a_consumer_that_stops_ends_the_reading() -> None:
    disk = Failing()
    blocks = read_blocks(disk, range(5), block_bytes=MIB, ahead=1)
    assert next(blocks).number == 0
    blocks.close()
    assert len(disk.read) <= 2


class Slow:
    """A disk of blocks of 1000 bytes; `seconds` of a clock pass for each."""

    block, size = 1000, 100_500

    def __init__(self, seconds: float, fail_at: int = -1) -> None:
        self.seconds, self.fail_at, self.now = seconds, fail_at, 0.0
        self.threads: list[threading.Thread] = []

    def read_into(self, offset: int, buffer: Buffer) -> None:
        if offset // 1000 == self.fail_at:
            raise SourceError("the cable is out")
        self.now += self.seconds
        self.threads.append(threading.current_thread())
        buffer[:] = bytes([offset // 1000 + 1]) * len(buffer)

    def blocks(self) -> Iterator[Block]:
        return read_blocks(self, range(101), block_bytes=1000, clock=lambda: self.now)


@pytest.mark.parametrize(("seconds", "here"), [(0.4, 101), (0.6, 16)])
def test_a_thread_reads_ahead_where_reading_takes_long(seconds: float, here: int) -> None:
    disk, before = Slow(seconds), threading.active_count()
    for number, block in enumerate(disk.blocks()):
        assert (block.number, block.start) == (number, number * 1000)
        assert block.buffer == (bytes([number + 1]) * block.length).ljust(1000, b"\0")
        disk.now += 1.0
    own = threading.current_thread()
    assert [one is own for one in disk.threads] == [True] * here + [False] * (101 - here)
    assert threading.active_count() == before


@pytest.mark.parametrize("seconds", [0.4, 0.6])
def test_an_error_comes_in_its_place_whoever_reads(seconds: float) -> None:
    disk, seen, before = Slow(seconds, fail_at=60), [], threading.active_count()
    with pytest.raises(SourceError, match="cable"):
        for block in disk.blocks():
            seen.append(block.number)
            disk.now += 1.0
    assert seen == list(range(60))
    assert threading.active_count() == before


def test_a_consumer_that_stops_ends_the_thread() -> None:
    disk, before = Slow(1.0), threading.active_count()
    with closing(disk.blocks()) as blocks:
        assert [next(blocks).number for _ in range(30)] == list(range(30))
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_the_short_last_block_is_followed_by_zeros(make_disk: object, raw_disk: type) -> None:
    disk = raw_disk.open(make_disk(3 * MIB + 512, [(0, 3 * MIB + 512)]))
    lengths = []
    for block in read_blocks(disk, [0, 1], block_bytes=2 * MIB, ahead=1):
        lengths.append(block.length)
        assert not any(block.buffer[block.length :])
    assert lengths == [2 * MIB, MIB + 512]


def test_data_runs() -> None:
    buffer = bytearray(4096)
    zero = ZeroTest(4096)
    assert zero.data_runs(Block(0, 0, 4096, buffer), 512) == []
    buffer[511] = buffer[512] = buffer[4095] = 1
    assert zero.data_runs(Block(0, 0, 4096, buffer), 512) == [(0, 1024), (3584, 4096)]
    assert zero.data_runs(Block(0, 0, 4000, buffer), 512) == [(0, 1024)]
    assert zero.data_runs(Block(0, 0, 600, buffer), 512) == [(0, 600)]
