# SPDX-License-Identifier: Apache-2.0
"""Files for fuzzing, held in memory: mostly zeros, so that a VHDX of some MiB is an input of some hundred bytes.

As an input: the file's size, then pieces; each an offset (8 bytes), a length (4 bytes) and the bytes, little-endian.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from v2x.disks.extent import Extent
from v2x.disks.listing import plain_name
from v2x.errors import BadImage, InputRefused

MOST_PIECES = 512
MOST_BYTES = 64 << 20
_GAP = 64
_SIZE = struct.Struct("<Q")
_PIECE = struct.Struct("<QI")


class Runaway(AssertionError):
    """A reader reads and reads: it would hang on a real file."""


@dataclass(frozen=True, slots=True)
class SparseFile:
    """`size` bytes, zeros but for the pieces, which ascend and neither touch nor leave the file."""

    size: int
    pieces: tuple[tuple[int, bytes], ...]

    @classmethod
    def of(cls, content: bytes) -> "SparseFile":
        """Of whole content: a piece ends where more than 64 zeros follow."""
        pieces, at, end = [], 0, len(content)
        while at < end:
            page = content[at : at + 4096]
            if not page.strip(b"\0"):
                at += len(page)
                continue
            begin = at + len(page) - len(page.lstrip(b"\0"))
            stop = content.find(bytes(_GAP), begin)
            stop = end if stop < 0 else stop
            pieces.append((begin, content[begin:stop]))
            at = stop
        assert len(pieces) <= MOST_PIECES
        return cls(end, tuple(pieces))

    @classmethod
    def made(cls, size: int, pieces: Mapping[int, bytes]) -> "SparseFile":
        """Of any pieces: what lies outside the file or on top of an earlier piece is left out."""
        size = min(max(size, 0), 1 << 62)
        kept: list[tuple[int, bytes]] = []
        position = 0
        for offset, data in sorted(pieces.items())[:MOST_PIECES]:
            begin = max(offset, position)
            piece = data[begin - offset :][: max(0, size - begin)]
            if piece:
                kept.append((begin, bytes(piece)))
                position = begin + len(piece)
        return cls(size, tuple(kept))

    @classmethod
    def decoded(cls, data: bytes) -> "SparseFile | None":
        """Of an input; None for what is too short to be one."""
        if len(data) < _SIZE.size:
            return None
        (size,) = _SIZE.unpack_from(data)
        pieces: dict[int, bytes] = {}
        at = _SIZE.size
        while at + _PIECE.size <= len(data) and len(pieces) < MOST_PIECES:
            offset, length = _PIECE.unpack_from(data, at)
            at += _PIECE.size
            pieces[offset] = data[at : at + length]
            at += length
        return cls.made(size, pieces)

    def encoded(self) -> bytes:
        return _SIZE.pack(self.size) + b"".join(_PIECE.pack(at, len(data)) + data for at, data in self.pieces)

    def read(self, offset: int, length: int) -> bytes:
        """Zeros beyond the end."""
        out = bytearray(length)
        first = max(0, bisect_right(self.pieces, (offset, b"\xff")) - 1)
        for at, data in self.pieces[first:]:
            if at >= offset + length:
                break
            begin, end = max(at, offset), min(at + len(data), offset + length)
            if begin < end:
                out[begin - offset : end - offset] = data[begin - at : end - at]
        return bytes(out)

    def changed(self, offset: int, data: bytes) -> "SparseFile":
        """With `data` at `offset`."""
        pieces: dict[int, bytes] = {}
        end = offset + len(data)
        for at, old in self.pieces:
            if at < offset:
                pieces[at] = old[: offset - at]
            if at + len(old) > end:
                pieces[max(at, end)] = old[max(0, end - at) :]
        pieces[offset] = data
        return SparseFile.made(self.size, pieces)

    def resized(self, size: int) -> "SparseFile":
        return SparseFile.made(size, dict(self.pieces))

    def write(self, path: Path) -> Path:
        with path.open("wb") as file:
            for at, data in self.pieces:
                file.seek(at)
                file.write(data)
            file.truncate(self.size)
        return path


class SparseSource:
    """A ByteSource over a SparseFile that counts what is read, so that a loop without end is an error at once.

    `most` bounds the bytes read in all, `calls` how often; clones count together.
    """

    def __init__(self, file: SparseFile, name: str, *, most: int = 256 << 20, calls: int = 100_000) -> None:
        self._file = file
        self.name = name
        self.size = file.size
        self._left = [most, calls]

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> None:
        view = memoryview(buffer).cast("B")
        if offset < 0 or offset + len(view) > self.size:
            raise BadImage(f"{self.name} ends at byte {self.size:,} where more was expected")
        self._left[0] -= len(view)
        self._left[1] -= 1
        if min(self._left) < 0:
            raise Runaway(f"{self.name}: read again and again, now {len(view):,} bytes at {offset:,}")
        view[:] = self._file.read(offset, len(view))

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        if length:
            yield Extent(start, length, True)

    @property
    def write_id(self) -> str:
        return str(self.size)

    def clone(self) -> "SparseSource":
        other = SparseSource(self._file, self.name)
        other._left = self._left
        return other

    def close(self) -> None:
        """Holds nothing open."""


class SparseListing:
    """A Listing of files in memory."""

    def __init__(self, files: Mapping[str, SparseFile]) -> None:
        self._files = files

    def names(self) -> list[str]:
        return sorted(self._files)

    def open(self, name: str) -> SparseSource:
        if plain_name(name) not in self._files:
            raise InputRefused(f"{name} is missing", code="MISSING-FILE")
        return SparseSource(self._files[name], name)

    def close(self) -> None:
        """Holds nothing open."""
