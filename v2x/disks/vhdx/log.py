# SPDX-License-Identifier: Apache-2.0
"""The log of a VHDX that was not closed cleanly, replayed in memory. The file is never written to.

Metadata changes are written to a ring of 4 KiB sectors first. After a crash, the newest complete sequence of entries
has to be applied before anything but the header is read ([MS-VHDX] 2.3.3).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from v2x.disks.crc32c import crc32c
from v2x.disks.interface import ByteSource
from v2x.disks.probe.fields import field_bytes
from v2x.disks.vhdx.replayed import Change, ReplayedSource
from v2x.disks.vhdx.structure import MIB, Header, without_checksum
from v2x.errors import BadImage, Unsupported

SECTOR: Final = 4096
MOST_LOG_BYTES: Final = 64 * MIB
MOST_CHANGES: Final = 1 << 16
MOST_FILE_BYTES: Final = 128 << 40
_ENTRY = struct.Struct("<4sIIIQII16sQQ")
_DESCRIPTOR = struct.Struct("<4s4s8sQQ")
_FIRST_WRITABLE: Final = 192 << 10  # identifier and headers lie before, and are never changed through the log
_CHECKED_TIMES: Final = 4  # so many times the log's size are looked at, whatever its entries claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A valid entry. `place` and `tail` are offsets in the log; `flushed` and `last` are sizes of the file."""

    place: int
    length: int
    tail: int
    sequence: int
    flushed: int
    last: int
    descriptors: int


def replayed(source: ByteSource, header: Header) -> ByteSource:
    """`source` as it is after its log; `source` itself if the log is empty. The result owns it.

    BadImage if the log holds no complete sequence or the file is shorter than it was when the log was written;
    Unsupported for logs of an unknown version or beyond 64 MiB.
    """
    if not header.is_dirty:
        return source
    name = source.name
    if header.log_version != 0:
        raise Unsupported(f"{name} has a log of the unknown version {header.log_version}")
    if header.log_bytes > MOST_LOG_BYTES:
        raise Unsupported(
            f"{name} has {header.log_bytes:,} bytes of log to be replayed; up to {MOST_LOG_BYTES:,} are",
            hint="mount the disk at the source once, which empties its log",
        )
    log = _Log(source, header)
    sequence = log.active_sequence()
    if not sequence:
        raise BadImage(
            f"{name} was not closed cleanly and its log holds no complete change",
            hint="shut the machine down at the source, or mount the disk there once, and copy it again",
        )
    head = sequence[-1]
    if head.flushed > source.size:
        raise BadImage(
            f"{name} is truncated: it had {head.flushed:,} bytes when its log was written, now {source.size:,}",
            hint="copy the file again",
        )
    count = sum(entry.descriptors for entry in sequence)
    if count > MOST_CHANGES:
        raise Unsupported(f"the log of {name} holds {count:,} changes; up to {MOST_CHANGES:,} are replayed")
    changes = [change for entry in sequence for change in log.changes(entry)]
    size = max([source.size, head.last, *(change.end for change in changes)])
    if size > MOST_FILE_BYTES:
        raise BadImage(f"the log of {name} makes the file {size:,} bytes long", hint="copy the file again")
    return ReplayedSource.applied(source, changes, size)


class _Log:
    def __init__(self, source: ByteSource, header: Header) -> None:
        self._source = source
        self._header = header
        self._size = header.log_bytes
        self._ring = field_bytes(source, header.log_offset, header.log_bytes, "the log")
        self._budget = _CHECKED_TIMES * self._size
        self._entries: dict[int, Entry | None] = {}

    def active_sequence(self) -> list[Entry]:
        """The entries of the newest complete sequence, its tail first; empty if there is none."""
        best: list[Entry] = []
        tail = 0
        while tail < self._size:
            run = self._run_from(tail)
            if not run:
                tail += SECTOR
                continue
            # Entries before the one that the head names were written to their places already.
            begin = next((number for number, entry in enumerate(run) if entry.place == run[-1].tail), None)
            if begin is not None and (not best or run[-1].sequence > best[-1].sequence):
                best = run[begin:]
            # No entry begins within a valid one, and a run that lacks its tail has no part that holds it.
            tail += sum(entry.length for entry in run)
        return best

    def _run_from(self, place: int) -> list[Entry]:
        run: list[Entry] = []
        total = 0
        while (entry := self._entry_at(place)) is not None:
            total += entry.length
            if total > self._size or (run and entry.sequence != run[-1].sequence + 1):
                break
            run.append(entry)
            place = (place + entry.length) % self._size
        return run

    def _entry_at(self, place: int) -> Entry | None:
        if place not in self._entries:
            self._entries[place] = self._parse(place)
        return self._entries[place]

    def _parse(self, place: int) -> Entry | None:
        signature, found, length, tail, sequence, count, _, log_id, flushed, last = _ENTRY.unpack_from(
            self._ring, place
        )
        if signature != b"loge" or log_id != self._header.log_id.bytes_le or sequence == 0:
            return None
        if length % SECTOR or not SECTOR <= length <= self._size or tail % SECTOR or tail >= self._size:
            return None
        entry = Entry(
            place=place,
            length=length,
            tail=tail,
            sequence=sequence,
            flushed=flushed,
            last=last,
            descriptors=count,
        )
        # Entries of one log are written one after the other and so never overlap, but a made-up log may claim it.
        self._budget -= length
        if self._budget < 0:
            raise BadImage(
                f"the entries in the log of {self._source.name} lie on top of one another", hint="copy the file again"
            )
        raw = self._bytes(entry)
        return entry if _is_whole(raw, entry) and found == crc32c(without_checksum(raw)) else None

    def _bytes(self, entry: Entry) -> bytes:
        raw = self._ring[entry.place : entry.place + entry.length]
        return raw + self._ring[: entry.length - len(raw)]

    def changes(self, entry: Entry) -> Iterator[Change]:
        """What the entry writes, in order. BadImage if it writes where a log must not."""
        raw = self._bytes(entry)
        data = _descriptor_bytes(entry.descriptors)
        for number in range(entry.descriptors):
            signature, trailing, leading, offset, _ = _DESCRIPTOR.unpack_from(raw, 64 + 32 * number)
            if signature == b"zero":
                change = Change(offset, offset + int.from_bytes(leading, "little"), None)
            else:
                change = Change(offset, offset + SECTOR, leading + raw[data + 8 : data + SECTOR - 4] + trailing)
                data += SECTOR
            if offset < _FIRST_WRITABLE:
                raise BadImage(f"the log of {self._source.name} writes over the file's header")
            yield change


def _descriptor_bytes(count: int) -> int:
    return -(-(64 + 32 * count) // SECTOR) * SECTOR


def _is_whole(raw: bytes, entry: Entry) -> bool:
    """Whether descriptors and data sectors are all there and of this entry."""
    data = _descriptor_bytes(entry.descriptors)
    if data > len(raw):
        return False
    low, high = struct.pack("<I", entry.sequence & 0xFFFFFFFF), struct.pack("<I", entry.sequence >> 32)
    for number in range(entry.descriptors):
        signature, _, leading, offset, sequence = _DESCRIPTOR.unpack_from(raw, 64 + 32 * number)
        if sequence != entry.sequence or offset % SECTOR:
            return False
        if signature == b"zero":
            if int.from_bytes(leading, "little") % SECTOR:
                return False
        elif signature == b"desc":
            sector = raw[data : data + SECTOR]
            if sector[:8] != b"data" + high or sector[-4:] != low:
                return False
            data += SECTOR
        else:
            return False
    return data == len(raw)
