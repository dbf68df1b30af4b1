# SPDX-License-Identifier: Apache-2.0
"""Bytes of files: a local file, and a window into another byte source."""

import os
import stat
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from v2x.disks.extent import Extent
from v2x.disks.interface import Buffer, ByteSource
from v2x.errors import BadImage, SourceError, UnsafeImage

_BEYOND: Final = 1 << 63
_STRIDE_BYTES: Final = 64 << 20
_MOST_KNOWN: Final = 1 << 17


class FileSource:
    """A regular local file, opened read-only. Its size is fixed at opening; shrinking later is a SourceError."""

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self._name = name
        self._size = os.fstat(fd).st_size
        self._data = _KnownData()

    @classmethod
    def open(cls, path: str | Path, *, dir_fd: int | None = None, name: str = "") -> "FileSource":
        """Opens `path`. UnsafeImage for a symbolic link, device, pipe or folder; SourceError if it cannot be read.

        `name` is what its listing calls it, where that is not the file's own name.
        """
        name = name or Path(path).name
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            fd = os.open(path, flags, dir_fd=dir_fd)
        except OSError as problem:
            if problem.errno in {40, 62}:  # ELOOP: O_NOFOLLOW met a symbolic link
                raise UnsafeImage(
                    f"{name} is a symbolic link",
                    hint="give the file itself; links inside a source are not followed",
                ) from None
            raise SourceError(
                f"cannot open {name}: {problem.strerror}", hint="check that the file exists and is readable"
            ) from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise UnsafeImage(f"{name} is not a regular file", hint="devices, pipes and folders are never read")
        return cls(fd, name)

    @property
    def name(self) -> str:
        return self._name

    @property
    def size(self) -> int:
        return self._size

    def fileno(self) -> int:
        """The open file description, for handing the very file that was checked to another program."""
        return self._fd

    @property
    def write_id(self) -> str:
        """Changes whenever the file's content may have: size, modification time in ns, inode."""
        found = os.fstat(self._fd)
        return f"{found.st_size}:{found.st_mtime_ns}:{found.st_ino}"

    def read_into(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer)
        while view:
            try:
                count = os.preadv(self._fd, [view], offset)
            except OSError as problem:
                raise SourceError(f"reading {self._name} failed: {problem.strerror}") from None
            if count == 0:
                raise BadImage(
                    f"{self._name} ends at byte {offset:,} where more was expected",
                    hint="the file is truncated or still being written; copy it again",
                )
            view = view[count:]
            offset += count

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        end = start + length
        position = start
        while position < end:
            data, hole = self._data.at_or_behind(self._fd, position)
            if data > position:
                yield Extent(position, min(data, end) - position, False)
            if data >= end:
                return
            position = min(hole, end)
            yield Extent(data, position - data, True)

    def clone(self) -> "FileSource":
        # preadv carries its own offset; extents() seeks, and so needs an open file description of its own.
        return FileSource(os.open(f"/proc/self/fd/{self._fd}", os.O_RDONLY | os.O_CLOEXEC), self._name)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class _KnownData:
    """Where a file holds data, as far as it was asked for.

    The kernel looks for a hole through all of the file's extents up to it. Tables that name one place after the other
    would have it walk through a file without holes again and again. Only data is remembered: what was a hole is asked
    for anew.
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def at_or_behind(self, fd: int, position: int) -> tuple[int, int]:
        """The next data from `position` on, as (start, end); beyond any file where there is none."""
        index = bisect_right(self._starts, position)
        known = self._ends[index - 1] if index else 0
        if known > position:
            return position, known
        # Places in descending order, too, shall not begin a walk each.
        for begin in (max(known, position - position % _STRIDE_BYTES), position):
            try:
                data = os.lseek(fd, begin, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but a hole up to the end
                return _BEYOND, _BEYOND
            hole = os.lseek(fd, data, os.SEEK_HOLE)
            self._remember(data, hole)
            if hole > position:
                return max(data, position), hole
        return position, position

    def _remember(self, data: int, hole: int) -> None:
        if len(self._starts) >= _MOST_KNOWN:
            self._starts.clear()
            self._ends.clear()
        first, last = bisect_left(self._ends, data), bisect_right(self._starts, hole)
        if first < last:
            data, hole = min(data, self._starts[first]), max(hole, self._ends[last - 1])
        self._starts[first:last] = [data]
        self._ends[first:last] = [hole]


class WindowSource:
    """`size` bytes of `inner` from `offset`: a member of an archive read in place. Closing it closes `inner`."""

    def __init__(self, inner: ByteSource, offset: int, size: int, name: str) -> None:
        if offset < 0 or size < 0 or offset + size > inner.size:
            raise BadImage(
                f"{name} reaches beyond the end of {inner.name}",
                hint="the archive is truncated; copy it again",
            )
        self._inner = inner
        self._offset = offset
        self._size = size
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    @property
    def size(self) -> int:
        return self._size

    def read_into(self, offset: int, buffer: Buffer) -> None:
        if offset < 0 or offset + len(buffer) > self._size:
            raise BadImage(
                f"{self._name} ends at byte {self._size:,} where more was expected",
                hint="the file is truncated; copy it again",
            )
        self._inner.read_into(self._offset + offset, buffer)

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        for extent in self._inner.extents(self._offset + start, length):
            yield Extent(extent.start - self._offset, extent.length, extent.data)

    def clone(self) -> "WindowSource":
        return WindowSource(self._inner.clone(), self._offset, self._size, self._name)

    def close(self) -> None:
        self._inner.close()
