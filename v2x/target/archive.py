# SPDX-License-Identifier: Apache-2.0
"""One XVA file: written front to back under a lock, and read again by chunk."""

import contextlib
import errno
import fcntl
import os
import re
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from v2x.disks.extent import Extent, joined
from v2x.disks.interface import Buffer
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.errors import BadImage, Conflict, DigestMismatch, NoSpace, SourceError, TargetError
from v2x.model.target import TargetMachine
from v2x.target.chunks import CHUNK_BYTES, END_OF_ARCHIVE, ChunkedDisk, checksum, padding, tar_header
from v2x.target.interface import Claim, ClaimedDisk

PART = ".part"
FIRST = "ova.xml"
_XML_LIMIT_BYTES = 16 * 1024 * 1024
_TAR_BLOCK = 512
_OCTAL = re.compile(rb"[0-7]{1,11}")


def file_name(name: str) -> str:
    """A plain file name that resembles a machine's name: letters, digits and `._-` of at most 120 bytes."""
    kept = "".join(char if char.isalnum() or char in "._-" else "_" for char in unicodedata.normalize("NFC", name))
    return kept.encode()[:120].decode("utf-8", "ignore").lstrip(".-") or "machine"


def _failed(path: Path, problem: OSError) -> TargetError:
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"no room for {path}", hint="free space there and run again")
    return TargetError(f"cannot write {path}: {problem.strerror}", hint="check the folder")


class Archive:
    """A .part file that this process holds. `claim` tells the disks written so far by their marks."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self.claim = Claim(tag="", id="", name="")
        self.spec: TargetMachine | None = None
        self._starts: list[int] = []

    @classmethod
    def open(cls, path: Path) -> "Archive":
        """Takes the file over, or makes it. Conflict while another run holds it."""
        while True:
            try:
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            except OSError as problem:
                raise _failed(path, problem) from None
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = os.fstat(handle)
                # Between opening and locking, another run may have finished or removed the file.
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(held, path.stat(follow_symlinks=False)):
                        return cls(path, os.fdopen(handle, "r+b", buffering=64 * 1024))
            except BlockingIOError:
                os.close(handle)
                raise Conflict(f"another run writes {path}", hint="wait for it to end", code="OWNED") from None
            os.close(handle)

    @classmethod
    def is_held(cls, path: Path) -> bool:
        """Whether some process holds the file's lock."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def begin(self, claim: Claim, spec: TargetMachine, description: bytes) -> None:
        """Empties the file and writes ova.xml."""
        self.claim, self.spec = claim, spec
        self._cut(0)
        self.put((tar_header(FIRST, len(description)), description, padding(len(description))))
        self.flush()
        self._starts = [self._file.tell()]

    def put(self, pieces: Iterable[Buffer | bytes]) -> None:
        try:
            for piece in pieces:
                self._file.write(piece)
        except OSError as problem:
            raise _failed(self.path, problem) from None

    def number_of(self, source_disk: str) -> int:
        for number, disk in enumerate(self.claim.disks):
            if disk.source_disk == source_disk:
                return number
        raise Conflict(f"{self.claim.name} has no disk {source_disk}", hint="run the migration again")

    def is_done(self, number: int) -> bool:
        return len(self._starts) > number + 1

    def restart(self, source_disk: str) -> ClaimedDisk:
        """Cuts the file at the disk's beginning."""
        number = self.number_of(source_disk)
        if number < len(self._starts):
            self._cut(self._starts[number])
            del self._starts[number + 1 :]
            for later in range(number, len(self.claim.disks)):
                self._note(later, mark_bytes=0, point="")
        return self.claim.disks[number]

    def begin_disk(self, number: int) -> None:
        if number >= len(self._starts):
            raise Conflict(
                f"disk {number + 1} of {self.claim.name} cannot be written before the ones in front of it",
                hint="the disks of an XVA file are copied one after the other",
            )
        self._cut(self._starts[number])

    def end_disk(self, number: int, point: str) -> None:
        self._starts.append(self._file.tell())
        self._note(number, mark_bytes=self.claim.disks[number].size_bytes, point=point)

    def _note(self, number: int, *, mark_bytes: int, point: str) -> None:
        disks = list(self.claim.disks)
        disks[number] = replace(disks[number], mark_bytes=mark_bytes, point=point)
        self.claim = replace(self.claim, disks=tuple(disks))

    def _cut(self, offset: int) -> None:
        try:
            self._file.seek(offset)
            self._file.truncate(offset)
        except OSError as problem:
            raise _failed(self.path, problem) from None

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as problem:
            raise _failed(self.path, problem) from None

    def finish(self) -> None:
        """The archive's end, everything on the disk, and only then the final name."""
        if not self.is_done(len(self.claim.disks) - 1) and self.claim.disks:
            raise Conflict(f"{self.claim.name} has disks that were not written", hint="run the migration again")
        final = self.path.with_name(self.path.name.removesuffix(PART))
        # All runs that would make this file hold this .part's lock first, so nobody comes in between.
        if final.exists():
            raise Conflict(f"{final} exists", hint="move it away, then run again")
        try:
            self._file.write(END_OF_ARCHIVE)
            self._file.flush()
            os.fsync(self._file.fileno())
            self.path.rename(final)
            folder = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as problem:
            raise _failed(final, problem) from None
        self.close()

    def discard(self) -> None:
        """Removes the file; already gone is success."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()


class ArchiveWriter:
    """The DiskWriter of an XVA. What it wrote before an abort is cut off again."""

    def __init__(self, archive: Archive, source_disk: str, blocks: Sequence[int], point: str) -> None:
        self._archive, self._blocks, self._point = archive, blocks, point
        self._number = archive.number_of(source_disk)
        self._disk = archive.claim.disks[self._number]
        self._next = self._sent_bytes = self._segments = 0
        self._done = archive.is_done(self._number)
        if self._done and blocks:
            raise Conflict(f"disk {source_disk} of {archive.claim.name} is already written", hint="run again")
        if not self._done:
            archive.begin_disk(self._number)
        self._chunks = ChunkedDisk(self._disk.id, self._disk.size_bytes)

    @property
    def block(self) -> int:
        return BLOCK_BYTES

    @property
    def sent_bytes(self) -> int:
        return self._sent_bytes

    @property
    def segments(self) -> int:
        return self._segments

    def write(self, number: int, data: Buffer) -> None:
        if self._next >= len(self._blocks) or self._blocks[self._next] != number:
            raise ValueError(f"block {number} was not announced, or comes out of order")
        self._archive.put(self._chunks.pieces(number * BLOCK_BYTES, data))
        self._next += 1
        self._sent_bytes += len(data)

    def leave_out(self, number: int, data: Buffer) -> None:
        if self._next >= len(self._blocks) or self._blocks[self._next] != number:
            raise ValueError(f"block {number} was not announced, or comes out of order")
        self._next += 1

    def commit(self) -> int:
        if self._next < len(self._blocks):
            raise ValueError(f"{len(self._blocks) - self._next} announced blocks were not written")
        if not self._done:
            self._archive.put(self._chunks.finish())
            self._archive.end_disk(self._number, self._point)
            self._done, self._segments = True, 1
        return self._disk.size_bytes

    def abort(self) -> None:
        if not self._done:
            self._done = True
            self._archive.restart(self._disk.source_disk)


def _header(data: bytes) -> tuple[str, int]:
    """Name and size of a ustar header. BadImage for anything else."""
    name = data[:100].split(b"\0", 1)[0]
    size = data[124:136].rstrip(b"\0 ")
    if len(data) < _TAR_BLOCK or not _OCTAL.fullmatch(size):
        raise BadImage("the archive is damaged")
    return name.decode("ascii", "replace"), int(size, 8)


def first_member(path: Path) -> bytes:
    """The content of the member ova.xml, which is the first of an XVA. BadImage where it is not."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        name, size = _header(file.read(_TAR_BLOCK))
        if name != FIRST or size > _XML_LIMIT_BYTES:
            raise BadImage(f"{path.name} is no XVA")
        data = file.read(size)
    if len(data) < size:
        raise BadImage(f"{path.name} is cut short")
    return data


class ChunkReader:
    """The disk `directory` of an XVA, with its checksums verified as it is read."""

    def __init__(self, path: Path, directory: str, size_bytes: int) -> None:
        self._path, self._directory, self._size = path, directory, size_bytes
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as problem:
            raise SourceError(f"cannot read {path}: {problem.strerror}") from None
        self._numbers, self._offsets = array("Q"), array("Q")
        self._index()
        self._loaded = -1
        self._chunk = b""

    @property
    def size(self) -> int:
        return self._size

    @property
    def block(self) -> int:
        return CHUNK_BYTES

    def _index(self) -> None:
        """Where each chunk's data lies; the archive is walked from header to header."""
        handle, position = self._file.fileno(), 0
        while True:
            head = os.pread(handle, _TAR_BLOCK, position)
            if not head.strip(b"\0"):
                return
            name, size = _header(head)
            folder, _, number = name.partition("/")
            if folder == self._directory and number.isascii() and number.isdecimal():
                self._numbers.append(int(number))
                self._offsets.append(position + _TAR_BLOCK)
            position += _TAR_BLOCK + size + len(padding(size))

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        """Data where there is a chunk."""
        return joined(self._pieces(start, start + length))

    def _pieces(self, start: int, end: int) -> Iterator[Extent]:
        index = bisect_left(self._numbers, start // CHUNK_BYTES)
        while start < end:
            if index == len(self._numbers) or self._numbers[index] * CHUNK_BYTES >= end:
                yield Extent(start, end - start, False)
                return
            begin = max(start, self._numbers[index] * CHUNK_BYTES)
            until = min(end, (self._numbers[index] + 1) * CHUNK_BYTES)
            yield Extent(start, begin - start, False)
            yield Extent(begin, until - begin, True)
            start, index = until, index + 1

    def read_into(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer)
        if offset < 0 or offset + len(view) > self._size:
            raise ValueError(f"{len(view)} bytes at {offset} are outside a disk of {self._size}")
        while view:
            number, within = divmod(offset, CHUNK_BYTES)
            part = memoryview(self._load(number))[within : within + len(view)]
            view[: len(part)] = part
            view, offset = view[len(part) :], offset + len(part)

    def _load(self, number: int) -> bytes:
        length = min(CHUNK_BYTES, self._size - number * CHUNK_BYTES)
        if number == self._loaded:
            return self._chunk
        index = bisect_left(self._numbers, number)
        if index == len(self._numbers) or self._numbers[index] != number:
            data = bytes(length)
        else:
            at = self._offsets[index]
            whole = os.pread(self._file.fileno(), length + len(padding(length)) + _TAR_BLOCK + 16, at)
            data = whole[:length]
            if len(whole) < length + _TAR_BLOCK or whole[-16:] != checksum(memoryview(data)):
                raise DigestMismatch(
                    f"chunk {number} of {self._directory} in {self._path.name} is not what its checksum says",
                    hint="the file is damaged: write it again",
                )
        self._loaded, self._chunk = number, data
        return data

    def clone(self) -> "ChunkReader":
        return ChunkReader(self._path, self._directory, self._size)

    def close(self) -> None:
        self._file.close()
