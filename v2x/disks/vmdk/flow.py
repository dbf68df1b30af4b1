# SPDX-License-Identifier: Apache-2.0
"""streamOptimized read as it flows by: from an export that gives the file once, from its first byte to its last.

Grains come before the tables that name them. Each table, the directory and the footer are held against what flowed by
before, so that the disk is the one that a reader with random access would see, and a stream is whole only with its
end-of-stream marker. Memory: one group's offsets, the directory, one grain.
"""

import struct
import sys
from array import array
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from v2x.disks.vmdk.descriptor import SECTOR_BYTES, parse_descriptor
from v2x.disks.vmdk.header import (
    END_OF_STREAM,
    FOOTER,
    GRAIN_DIRECTORY,
    GRAIN_TABLE,
    SparseHeader,
    parse_header,
    shape_of,
)
from v2x.errors import BadImage, Retry, SourceError, Unsupported

_MARKER: Final = struct.Struct("<QII")
_GRAIN: Final = struct.Struct("<QI")
_BUFFER_BYTES: Final = 256 << 10
_MOST_OVERHEAD: Final = 4 << 20
_MOST_GRAINS: Final = 1 << 31


class FlowBroken(SourceError):
    """The stream ended before its end. Asking for it again makes sense."""

    code = "STREAM-CUT"
    retry = Retry.LATER


class FlowGrain(NamedTuple):
    """A grain as it came by: `stream` is its compressed bytes, empty where only the map is wanted."""

    number: int
    stream: memoryview


class _Feed:
    """Exact reads from a source that gives what it has; `at` is the offset in the file."""

    def __init__(self, read: Callable[[memoryview], int], name: str) -> None:
        self._read, self._name = read, name
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._begin = self._end = 0
        self.at = 0

    def take(self, length: int) -> memoryview:
        """The next `length` bytes, in memory of their own."""
        out = memoryview(bytearray(length))
        self._into(out)
        return out

    def skip(self, length: int) -> None:
        while length:
            if self._begin == self._end:
                self._refill()
            step = min(length, self._end - self._begin)
            self._begin += step
            self.at += step
            length -= step

    def _into(self, out: memoryview) -> None:
        done = 0
        while done < len(out):
            if self._begin == self._end:
                self._refill()
            step = min(len(out) - done, self._end - self._begin)
            out[done : done + step] = self._buffer[self._begin : self._begin + step]
            self._begin += step
            done += step
        self.at += done

    def _refill(self) -> None:
        self._begin, self._end = 0, self._read(self._buffer)
        if self._end == 0:
            raise FlowBroken(
                f"the stream of {self._name} ended at byte {self.at:,}, before its end",
                hint="the host or the network cut it off; the same command continues",
            )


class GrainFlow:
    """The grains of one stream. `read` fills a part of a buffer and says how much, 0 at the end.

    BadImage for a stream that contradicts itself, Unsupported for other kinds than streamOptimized, FlowBroken for one
    that stops early, and whatever `read` raises.
    """

    def __init__(self, read: Callable[[memoryview], int], name: str) -> None:
        self.name = name
        self._feed = _Feed(read, name)
        self.header = self._head()
        count = -(-self.header.capacity_bytes // self.header.grain_bytes)
        if count > _MOST_GRAINS:
            raise Unsupported(f"{self.name} has {count:,} grains; at most {_MOST_GRAINS:,} are read from a stream")
        self._count = count
        self._tables = array("I", bytes(4 * self.header.directory_entries))
        self._group = -1
        self._seen: dict[int, int] = {}
        self._blank_tables: set[int] = set()
        self._tables_left = self.header.directory_entries
        self._directory_at = 0
        self._has_footer = False
        self.finished = False

    def _head(self) -> SparseHeader:
        header, in_footer = parse_header(bytes(self._feed.take(SECTOR_BYTES)), self.name)
        if not header.compressed or not in_footer:
            raise Unsupported(
                f"{self.name} is no streamOptimized VMDK with a footer", hint="read the disk with another --transport"
            )
        text_end = header.descriptor_offset + header.descriptor_bytes
        start = max(header.overhead_bytes, text_end, SECTOR_BYTES)
        if start > _MOST_OVERHEAD or (header.descriptor_bytes and header.descriptor_offset < SECTOR_BYTES):
            raise BadImage(f"{self.name} has its first grain at byte {start:,}")
        rest = bytes(self._feed.take(start - SECTOR_BYTES))
        text = rest[max(0, header.descriptor_offset - SECTOR_BYTES) : max(0, text_end - SECTOR_BYTES)]
        if text.strip(b"\0"):
            found = parse_descriptor(text, self.name)
            found.require_readable(self.name)
            if not 0 <= header.capacity_bytes - found.capacity_bytes < header.grain_bytes:
                raise BadImage(f"header and descriptor of {self.name} give different sizes")
        return header

    @property
    def position(self) -> int:
        """Bytes of the stream that were read."""
        return self._feed.at

    def grains(self, *, wanted: Callable[[int], bool] = lambda _: True) -> Iterator[FlowGrain]:
        """All grains in ascending order, up to the checked end of the stream; without bytes where not `wanted`."""
        last = -1
        while True:
            begin = self._feed.at
            marker = self._feed.take(SECTOR_BYTES)
            value, size, kind = _MARKER.unpack_from(marker)
            if size == 0:
                if self._metadata(value, kind):
                    self.finished = True
                    return
                continue
            number = self._grain_number(value, size, last)
            last = number
            self._note(number, begin)
            yield FlowGrain(number, self._stream(marker, size, wanted(number)))

    def _grain_number(self, sector: int, size: int, last: int) -> int:
        grain_bytes = self.header.grain_bytes
        number, odd = divmod(sector, grain_bytes // SECTOR_BYTES)
        if self._directory_at:
            raise BadImage(f"{self.name} has a grain after its directory")
        if odd or number >= self._count:
            raise BadImage(f"{self.name} has a grain for sector {sector:,}, where none can be")
        if size > 2 * grain_bytes:
            raise BadImage(f"grain {number:,} of {self.name} claims {size:,} compressed bytes")
        if number <= last:
            raise Unsupported(
                f"{self.name} has grain {number:,} after grain {last:,}", hint="read the disk with another --transport"
            )
        return number

    def _note(self, number: int, begin: int) -> None:
        group = number // self.header.table_entries
        if group != self._group:
            self._close_group()
            self._group = group
        self._seen[number % self.header.table_entries] = begin // SECTOR_BYTES

    def _close_group(self) -> None:
        if self._seen:
            raise BadImage(f"{self.name} lacks the grain table {self._group:,}", hint="export the disk again")

    def _stream(self, marker: memoryview, size: int, wanted: bool) -> memoryview:
        here = SECTOR_BYTES - _GRAIN.size
        beyond = max(0, size - here)
        padded = -(-beyond // SECTOR_BYTES) * SECTOR_BYTES
        if not wanted:
            self._feed.skip(padded)
            return memoryview(b"")
        if not beyond:
            return marker[_GRAIN.size : _GRAIN.size + size]
        stream = memoryview(bytearray(size))
        stream[:here] = marker[_GRAIN.size :]
        stream[here:] = self._feed.take(beyond)
        self._feed.skip(padded - beyond)
        return stream

    def _metadata(self, sectors: int, kind: int) -> bool:
        """Checks one metadata section; whether it was the end."""
        begin = self._feed.at // SECTOR_BYTES
        if kind == GRAIN_TABLE:
            self._table(self._entries(sectors, self.header.table_entries, "grain table"), begin)
        elif kind == GRAIN_DIRECTORY:
            self._close_group()
            entries = self._entries(sectors, self.header.directory_entries, "grain directory")
            if self._directory_at or not all(map(self._same_table, entries, self._tables)):
                raise BadImage(f"the grain directory of {self.name} is not that of its tables")
            self._directory_at = begin * SECTOR_BYTES
        elif kind == FOOTER and sectors == 1 and not self._has_footer:
            self._has_footer = True
            footer, again = parse_header(bytes(self._feed.take(SECTOR_BYTES)), f"the footer of {self.name}")
            if again or shape_of(footer) != shape_of(self.header) or footer.directory_offset != self._directory_at:
                raise BadImage(f"header and footer of {self.name} contradict each other")
        elif kind == END_OF_STREAM and not sectors:
            if not self._has_footer:
                raise BadImage(f"{self.name} ends without a footer")
            return True
        else:
            raise BadImage(f"{self.name} has a marker of the unknown kind {kind} with {sectors:,} sectors")
        return False

    def _same_table(self, entry: int, table: int) -> bool:
        return entry == table or (table == 0 and entry in self._blank_tables)

    def _entries(self, sectors: int, count: int, what: str) -> "array[int]":
        if sectors != -(-count * 4 // SECTOR_BYTES):
            raise BadImage(f"a {what} of {self.name} has {sectors:,} sectors for {count:,} entries")
        entries = array("I")
        entries.frombytes(self._feed.take(sectors * SECTOR_BYTES)[: count * 4])
        if sys.byteorder == "big":
            entries.byteswap()
        return entries

    def _table(self, entries: "array[int]", begin: int) -> None:
        self._tables_left -= 1
        if self._tables_left < 0 or self._directory_at:
            raise BadImage(f"{self.name} has more grain tables than its directory could name")
        blank = {0, 1} if self.header.zero_grains else {0}
        named = {index: entry for index, entry in enumerate(entries) if entry not in blank}
        if named != self._seen:
            raise BadImage(
                f"grain table {self._group:,} of {self.name} is not that of its grains", hint="export the disk again"
            )
        if named:
            self._tables[self._group] = begin
        else:
            self._blank_tables.add(begin)
        self._seen.clear()
