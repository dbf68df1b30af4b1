# SPDX-License-Identifier: Apache-2.0
"""Compressed hosted sparse extents (streamOptimized), read at random through their grain tables.

Each stored grain is a marker (`u64` first sector, `u32` compressed bytes) followed by a zlib stream. The calling
thread reads, a few worker threads of the process inflate, and while reading goes on in order the next grains are
inflated ahead.
"""

import struct
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import islice
from typing import Final

from v2x.disks.chain import DATA, Part
from v2x.disks.grains import TARGET_ABSENT, TARGET_ZERO, GrainLayer, Runs
from v2x.disks.inflate import WORKERS, Inflated, Stored, inflated, zlib_grain
from v2x.disks.interface import ByteSource
from v2x.disks.vmdk.descriptor import SECTOR_BYTES
from v2x.disks.vmdk.header import SparseHeader, read_bytes
from v2x.disks.vmdk.sparse import sparse_geometry
from v2x.errors import BadImage, V2xError

_MARKER = struct.Struct("<QI")
_BATCH_GRAINS: Final = 8
_WINDOW_BYTES: Final = 2 << 20
_KEPT_BYTES: Final = 8 << 20


def inflating(streams: Sequence[tuple[int, memoryview]], grain_bytes: int, size: int, name: str) -> "Future[Inflated]":
    """The grains (number, stream) of a disk of `size` bytes, inflated by the process's threads, in their order."""
    batch = [Stored(number, min(grain_bytes, size - number * grain_bytes), stream) for number, stream in streams]
    return WORKERS.submit(zlib_grain, batch, grain_bytes, name)


class CompressedLayer(GrainLayer):
    """A Layer over one compressed extent."""

    def __init__(self, source: ByteSource, header: SparseHeader, size_bytes: int) -> None:
        super().__init__(source, sparse_geometry(header, size_bytes))
        self._header = header
        self._grain_bytes = header.grain_bytes
        self._window = max(1, _WINDOW_BYTES // header.grain_bytes)
        self._kept = max(4 * self._window, _KEPT_BYTES // header.grain_bytes)
        self._ready: OrderedDict[int, tuple[Future[Inflated], int]] = OrderedDict()
        self._predicted = -1

    def table_offset(self, entry: int) -> int:
        return entry * SECTOR_BYTES

    def stored_limit(self) -> int:
        return self.size

    def decode(self, entries: "array[int]") -> Runs:
        """Runs of stored grains whatever their place: compressed grains are read by their own entries."""
        starts, targets = array("I"), array("q")
        before: int | None = None
        for index, entry in enumerate(entries):
            if entry == 0:
                target = TARGET_ABSENT
            elif entry == 1 and self._header.zero_grains:
                target = TARGET_ZERO
            else:
                target = 0
                if entry * SECTOR_BYTES >= self._source.size:
                    raise self.outside(entry)
            if target != before:
                starts.append(index)
                targets.append(target)
                before = target
        return Runs(entries, starts, targets)

    def read_part(self, part: Part, view: memoryview) -> None:
        offset, end = part.start, part.start + len(view)
        while offset < end:
            first = offset // self._grain_bytes
            last = min(first + self._window - 1, (end - 1) // self._grain_bytes)
            stop = min(end, (last + 1) * self._grain_bytes)
            self._read_window(first, last, offset, view[offset - part.start : stop - part.start])
            offset = stop

    def _read_window(self, first: int, last: int, offset: int, view: memoryview) -> None:
        upcoming = self._stored_after((last + 1) * self._grain_bytes)
        following = next(upcoming, -1)
        wanted = [number for number in range(first, last + 1) if number not in self._ready]
        if len(wanted) == 1 and first == last and first != self._predicted:
            self._inflate_here(first)
        else:
            self._submit(wanted)
        if first == self._predicted and following >= 0:
            self._submit_ahead([following, *islice(upcoming, self._window - 1)])
        self._predicted = following
        self._hand_over(first, last, offset, view)
        while len(self._ready) > self._kept:
            self._ready.popitem(last=False)

    def _hand_over(self, first: int, last: int, offset: int, view: memoryview) -> None:
        """Copies grains into `view`, which begins at byte `offset` of the disk, as they become ready."""
        grain_bytes = self._grain_bytes
        awaited: Future[Inflated] | None = None
        results: Inflated = []
        for number in range(first, last + 1):
            future, place = self._ready[number]
            if future is not awaited:
                awaited, results = future, future.result()
            data = results[place]
            if isinstance(data, BadImage):
                raise BadImage(data.message, hint=data.hint)
            at = number * grain_bytes - offset
            if at >= 0 and at + len(data) <= len(view):
                view[at : at + len(data)] = data
                # Who reads whole grains does not come back for them, and their memory is used again while it is warm.
                del self._ready[number]
            else:
                begin, end = max(0, -at), min(len(data), len(view) - at)
                view[at + begin : at + end] = memoryview(data)[begin:end]

    def _submit_ahead(self, numbers: Sequence[int]) -> None:
        missing = [number for number in numbers if number not in self._ready]
        # Only whole batches, so that small reads in order do not make small jobs.
        if len(missing) < min(_BATCH_GRAINS, len(numbers)):
            return
        # Damage further on is the business of whoever reads there, if anyone does.
        with suppress(V2xError):
            self._submit(missing)

    def _stored_after(self, start: int) -> Iterator[int]:
        """The numbers of stored grains from byte `start` on, looked up over two tables at most."""
        length = min(self.size - start, 2 * self._span)
        if length <= 0:
            return
        for part in self.parts(start, length):
            if part.kind == DATA:
                yield from range(part.start // self._grain_bytes, -(-(part.start + part.length) // self._grain_bytes))

    def _submit(self, numbers: Sequence[int]) -> None:
        for at in range(0, len(numbers), _BATCH_GRAINS):
            batch = numbers[at : at + _BATCH_GRAINS]
            future = WORKERS.submit(zlib_grain, self._fetch(batch), self._grain_bytes, self._source.name)
            for place, number in enumerate(batch):
                self._ready[number] = (future, place)

    def _inflate_here(self, number: int) -> None:
        future: Future[Inflated] = Future()
        future.set_result(inflated(zlib_grain, self._fetch([number]), self._grain_bytes, self._source.name))
        self._ready[number] = (future, 0)

    def _fetch(self, numbers: Sequence[int]) -> list[Stored]:
        """Reads stored grains, in one go where they lie close together in the file."""
        offsets = [entry * SECTOR_BYTES for entry in self.entries_at(numbers)]
        guess = self._grain_bytes + SECTOR_BYTES
        span = offsets[-1] + guess - offsets[0]
        if offsets == sorted(offsets) and span <= 2 * len(numbers) * guess:
            raw = self._read(offsets[0], span)
            return [
                self._stream(number, offset, raw[offset - offsets[0] :])
                for number, offset in zip(numbers, offsets, strict=True)
            ]
        return [
            self._stream(number, offset, self._read(offset, guess))
            for number, offset in zip(numbers, offsets, strict=True)
        ]

    def _read(self, offset: int, length: int) -> memoryview:
        raw = bytearray(min(length, self._source.size - offset))
        self._source.read_into(offset, raw)
        return memoryview(raw)

    def _stream(self, number: int, offset: int, raw: memoryview) -> Stored:
        name = self._source.name
        if len(raw) < _MARKER.size:
            raise BadImage(f"grain {number:,} of {name} is cut off by the end of the file", hint="copy the file again")
        sector, size = _MARKER.unpack_from(raw)
        if sector != number * (self._grain_bytes // SECTOR_BYTES):
            raise BadImage(
                f"grain {number:,} of {name} is marked as sector {sector:,} of the disk",
                hint="the file is damaged; copy it again",
            )
        if not 0 < size <= 2 * self._grain_bytes:
            raise BadImage(f"grain {number:,} of {name} claims {size:,} compressed bytes", hint="copy the file again")
        stream = raw[_MARKER.size : _MARKER.size + size]
        if len(stream) < size:
            stream = memoryview(read_bytes(self._source, offset + _MARKER.size, size))
        needed = min(self._grain_bytes, self.size - number * self._grain_bytes)
        return Stored(number, needed, stream)

    def clone(self) -> "CompressedLayer":
        return CompressedLayer(self._source.clone(), self._header, self._geometry.size_bytes)

    def close(self) -> None:
        self._ready.clear()
        super().close()
