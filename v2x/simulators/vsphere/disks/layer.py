# SPDX-License-Identifier: Apache-2.0
"""One file of a disk chain with real bytes: a flat base, or a delta that holds what was written since a snapshot.

Written from the public descriptions of the formats, on its own: nothing here is shared with the readers of v2x.
"""

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

SECTOR = 512
_PUNCH_AND_KEEP_SIZE = 0x01 | 0x02
_libc = ctypes.CDLL(None, use_errno=True)


class Layer(Protocol):
    """A layer of a chain. Offsets and lengths are multiples of 512 bytes; whoever calls holds the disk's lock."""

    kind: str
    path: Path
    """The descriptor."""
    extent: Path
    """The file with the bytes."""
    parent: "Layer | None"
    size_bytes: int
    cid: str

    def read(self, offset: int, length: int) -> bytes:
        """The bytes as the guest sees them at this layer, parents included."""

    def write(self, offset: int, data: bytes) -> None: ...

    def zero(self, offset: int, length: int) -> None: ...

    def areas(self) -> Iterator[tuple[int, int]]:
        """Start and length of what this layer itself holds, data or explicit zeros, ascending."""

    def data(self) -> Iterator[tuple[int, int]]:
        """The same without what is surely zeros, whatever the disk's provisioning says of it."""

    def close(self) -> None: ...


def is_zero(data: bytes) -> bool:
    return data == bytes(len(data))


class Flat:
    """A -flat.vmdk: the disk's bytes from end to end. A thin one is sparse where nothing was written."""

    kind = "flat"
    parent: Layer | None = None

    def __init__(self, path: Path, extent: Path, size_bytes: int, cid: str, *, thin: bool) -> None:
        self.path, self.extent, self.size_bytes, self.cid, self.thin = path, extent, size_bytes, cid, thin
        self._file = os.open(extent, os.O_RDWR | os.O_CREAT, 0o600)
        if os.fstat(self._file).st_size != size_bytes:
            os.ftruncate(self._file, size_bytes)

    def read(self, offset: int, length: int) -> bytes:
        data = os.pread(self._file, length, offset)
        return data + bytes(length - len(data))

    def write(self, offset: int, data: bytes) -> None:
        os.pwrite(self._file, data, offset)

    def zero(self, offset: int, length: int) -> None:
        """A hole where the file system can make one, zeros elsewhere."""
        punched = self.thin and not _libc.fallocate(
            self._file, _PUNCH_AND_KEEP_SIZE, ctypes.c_longlong(offset), ctypes.c_longlong(length)
        )
        while not punched and length:
            step = min(length, 1 << 20)
            os.pwrite(self._file, bytes(step), offset)
            offset, length = offset + step, length - step

    def grow(self, size_bytes: int) -> None:
        os.ftruncate(self._file, size_bytes)
        self.size_bytes = size_bytes

    def areas(self) -> Iterator[tuple[int, int]]:
        if self.thin:
            yield from self.data()
        else:
            yield 0, self.size_bytes

    def data(self) -> Iterator[tuple[int, int]]:
        """What of the file is no hole, also in a thick one."""
        at = 0
        while at < self.size_bytes:
            try:
                start = os.lseek(self._file, at, os.SEEK_DATA)
            except OSError:
                return
            at = min(os.lseek(self._file, start, os.SEEK_HOLE), self.size_bytes)
            yield start, at - start

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def joined(areas: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Ascending areas with neighbours made one."""
    start = end = -1
    for offset, length in areas:
        if offset == end:
            end = offset + length
            continue
        if end > start:
            yield start, end - start
        start, end = offset, offset + length
    if end > start:
        yield start, end - start
