# SPDX-License-Identifier: Apache-2.0
"""Raw disks as the content that every writer here starts from: their data, their changes, sparse copies."""

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from v2x.errors import V2xError
from v2x.model.units import MIB, SECTOR


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes `start` up to, not including, `end` of a disk."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Change:
    """A guest's write: `data` at byte `offset`."""

    offset: int
    data: bytes


def size_of(raw: Path) -> int:
    """The size in bytes; V2xError where it is no whole number of sectors, which a disk always is."""
    size = raw.stat().st_size
    if size == 0 or size % SECTOR:
        raise V2xError(f"{raw} has {size} bytes: a raw disk is a whole number of 512-byte sectors")
    return size


def data_ranges(raw: Path) -> Iterator[Range]:
    """Where the file has data, by SEEK_DATA; the whole file where the file system cannot tell."""
    size = size_of(raw)
    with raw.open("rb") as opened:
        start = 0
        while start < size:
            try:
                start = os.lseek(opened.fileno(), start, os.SEEK_DATA)
                end = os.lseek(opened.fileno(), start, os.SEEK_HOLE)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return
                end = size
            yield Range(start, end)
            start = end


def covering(ranges: Iterable[Range], unit: int, size: int) -> list[Range]:
    """`ranges` widened to multiples of `unit` (cut at `size`), sorted, overlapping and touching ones joined."""
    joined: list[Range] = []
    for wide in sorted(
        (Range(r.start // unit * unit, min(size, -(-r.end // unit) * unit)) for r in ranges if r.end > r.start),
        key=lambda r: r.start,
    ):
        if joined and wide.start <= joined[-1].end:
            joined[-1] = Range(joined[-1].start, max(joined[-1].end, wide.end))
        else:
            joined.append(wide)
    return joined


def grains(raw: Path, ranges: Iterable[Range], grain_bytes: int) -> Iterator[tuple[int, bytes]]:
    """(number, content) of every grain that `ranges` touch, ascending; the last may be short."""
    step = max(1, MIB // grain_bytes) * grain_bytes
    with raw.open("rb") as opened:
        for wide in covering(ranges, grain_bytes, size_of(raw)):
            for at in range(wide.start, wide.end, step):
                chunk = os.pread(opened.fileno(), min(step, wide.end - at), at)
                for inside in range(0, len(chunk), grain_bytes):
                    yield (at + inside) // grain_bytes, chunk[inside : inside + grain_bytes]


def data_grains(raw: Path, grain_bytes: int, within: Range | None = None) -> Iterator[tuple[int, bytes]]:
    """(number, content) of every grain that is not all zeros, of those in `within`, which begins and ends at grains."""
    zeros = bytes(grain_bytes)
    ranges = data_ranges(raw)
    if within is not None:
        ranges = (Range(max(r.start, within.start), min(r.end, within.end)) for r in ranges)
    for number, content in grains(raw, ranges, grain_bytes):
        if content != zeros[: len(content)]:
            yield number, content


def copy_sparse(source: Path, out: Path, *, start: int = 0, length: int | None = None) -> None:
    """Copy `length` bytes from `start` of `source` to the new file `out`, holes staying holes."""
    size = size_of(source)
    end = size if length is None else start + length
    with source.open("rb") as reading, out.open("wb") as writing:
        writing.truncate(end - start)
        for piece in data_ranges(source):
            first, last = max(piece.start, start), min(piece.end, end)
            for at in range(first, last, 4 * MIB):
                data = os.pread(reading.fileno(), min(4 * MIB, last - at), at)
                os.pwrite(writing.fileno(), data, at - start)


def apply(raw: Path, changes: Sequence[Change]) -> list[Range]:
    """Write `changes` into `raw` in place, as a running guest would; the ranges touched.

    Raises V2xError for a change beyond the end of the disk.
    """
    size = size_of(raw)
    with raw.open("r+b") as opened:
        for change in changes:
            if change.offset < 0 or change.offset + len(change.data) > size:
                raise V2xError(f"a change at byte {change.offset} lies outside the disk of {size} bytes")
            os.pwrite(opened.fileno(), change.data, change.offset)
    return [Range(change.offset, change.offset + len(change.data)) for change in changes]
