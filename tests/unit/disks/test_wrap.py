# SPDX-License-Identifier: Apache-2.0
"""Wrappers: retry, throttle, digest, count and deliberate faults."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import xxhash

from v2x import errors
from v2x.disks.extent import Extent
from v2x.disks.interface import DiskReader
from v2x.disks.raw import RawReader
from v2x.disks.wrap import Counted, Counts, Digest, Faults, Faulty, Rate, Retry, Throttle
from v2x.errors import BadImage, ConnectError, SourceError

SIZE = 64 * 1024
RAW = bytes(range(256)) * (SIZE // 256)


@pytest.fixture
def plain(images: Any) -> Iterator[DiskReader]:
    images.path("x.raw").write_bytes(RAW)
    reader = RawReader(images.listing.open("x.raw"))
    yield reader
    reader.close()


def read(reader: DiskReader, offset: int = 0, length: int = SIZE) -> bytes:
    buffer = bytearray(length)
    reader.read_into(offset, buffer)
    return bytes(buffer)


def test_retry_reads_again_with_growing_waits(plain: DiskReader) -> None:
    waits: list[float] = []
    faults = Faults(fail_at=frozenset({1}), short_at=frozenset({2}))
    reader = Retry(Faulty(plain, faults), 3, wait_seconds=0.5, sleep=waits.append)
    assert read(reader) == RAW
    assert waits == [0.5, 1.0]
    assert faults.requests == 3


def test_retry_gives_up_with_the_last_error(plain: DiskReader) -> None:
    waits: list[float] = []
    reader = Retry(Faulty(plain, Faults(fail_at=frozenset(range(9)))), 3, sleep=waits.append)
    with pytest.raises(SourceError, match="connection to the source was lost"):
        read(reader)
    assert len(waits) == 2
    assert read(Retry(Faulty(plain, Faults()), 1)) == RAW


@pytest.mark.parametrize(("error", "tries"), [(BadImage("x"), 1), (ConnectError("x"), 4), (SourceError("x"), 4)])
def test_only_what_may_pass_is_tried_again(plain: DiskReader, error: Exception, tries: int) -> None:
    faults = Faults(fail_at=frozenset(range(99)), error=lambda: error)
    with pytest.raises(type(error)):
        read(Retry(Faulty(plain, faults), 4, sleep=lambda _: None))
    assert faults.requests == tries


def test_retry_waits_a_minute_at_most(plain: DiskReader) -> None:
    waits: list[float] = []
    with pytest.raises(SourceError):
        read(Retry(Faulty(plain, Faults(fail_at=frozenset(range(99)))), 12, sleep=waits.append))
    assert max(waits) == 60.0


def test_retry_opens_anew_and_refuses_a_disk_of_another_size(images: Any) -> None:
    images.path("x.raw").write_bytes(RAW)
    opened: list[DiskReader] = []

    def reopen() -> DiskReader:
        opened.append(RawReader(images.listing.open("x.raw")))
        return opened[-1]

    broken = Faulty(reopen(), Faults(fail_at=frozenset({1, 2, 3})))
    reader = Retry(broken, 3, reopen=reopen, sleep=lambda _: None)
    assert read(reader) == RAW
    assert len(opened) == 2
    with pytest.raises(SourceError):
        opened[0].read_into(0, bytearray(1))
    again = Retry(Faulty(reopen(), Faults(fail_at=frozenset({1}))), 3, reopen=reopen, sleep=lambda _: None)
    images.path("x.raw").write_bytes(RAW[:512])
    with pytest.raises(errors.V2xError):
        read(again)
    reader.close()


class BreakingExtents:
    """A disk whose map breaks off after every second extent, as often as `breaks` says."""

    def __init__(self, breaks: int) -> None:
        self.breaks = breaks
        self.size = 100 * 512
        self.block = 512

    def read_into(self, offset: int, buffer: Any) -> None:
        raise AssertionError

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        for count, at in enumerate(range(start, start + length, 512)):
            if count == 2 and self.breaks:
                self.breaks -= 1
                raise SourceError("lost")
            yield Extent(at, 512, at % 1024 == 0)

    def clone(self) -> "BreakingExtents":
        return self

    def close(self) -> None:
        return None


def test_retry_continues_a_map_where_it_broke_off() -> None:
    reader = Retry(BreakingExtents(20), 2, sleep=lambda _: None)
    assert [extent.start for extent in reader.extents(0, 100 * 512)] == list(range(0, 100 * 512, 512))


def test_throttle_shares_one_rate_between_clones(plain: DiskReader) -> None:
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    rate = Rate(SIZE, clock=lambda: now[0], sleep=sleep)
    reader = Throttle(plain, rate)
    other = reader.clone()
    for one in (reader, other, reader):
        assert read(one) == RAW
    assert slept == [1.0, 1.0]
    now[0] += 50
    slept.clear()
    read(reader)
    read(reader)
    assert slept == [1.0]
    rate.bytes_per_second = None
    read(reader)
    assert slept == [1.0]
    other.close()


def test_digest_keeps_whole_aligned_blocks(plain: DiskReader) -> None:
    reader = Digest(plain, 24 * 1024)
    read(reader, 0, 48 * 1024)
    read(reader, 512, 1024)
    read(reader, 24 * 1024, 1024)
    assert set(reader.digests) == {0, 1}
    read(reader.clone(), 48 * 1024, 16 * 1024)
    assert reader.digests == {
        number: xxhash.xxh3_128_digest(RAW[number * 24 * 1024 :][: 24 * 1024]) for number in range(3)
    }


def test_counted_counts_over_clones_and_threads(plain: DiskReader) -> None:
    told: list[int] = []
    reader = Counted(plain, tell=told.append)
    clones = [reader.clone() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: [read(one, 0, 512) for _ in range(50)], clones))
    assert (reader.counts.requests, reader.counts.bytes_read) == (200, 200 * 512)
    assert sum(told) == 200 * 512
    for clone in clones:
        clone.close()


def test_counted_counts_failures(plain: DiskReader) -> None:
    counts = Counts()
    reader = Counted(Faulty(plain, Faults(fail_at=frozenset({1}))), counts)
    with pytest.raises(SourceError):
        read(reader)
    read(reader)
    assert (counts.requests, counts.bytes_read, counts.failures) == (1, SIZE, 1)


def test_faulty_delays_and_fills_half_when_short(plain: DiskReader) -> None:
    slept: list[float] = []
    reader = Faulty(plain, Faults(short_at=frozenset({2}), delay_seconds=2.5, sleep=slept.append))
    assert read(reader) == RAW
    buffer = bytearray(SIZE)
    with pytest.raises(SourceError, match="less than"):
        reader.read_into(0, buffer)
    assert buffer == RAW[: SIZE // 2] + bytes(SIZE // 2)
    assert slept == [2.5, 2.5]
    assert reader.extents(0, 0) is not None
