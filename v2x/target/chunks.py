# SPDX-License-Identifier: Apache-2.0
"""Disk data as tar members of 1 MiB, each followed by its checksum: in an XVA, and in a tar upload of one disk.

Member names are `<directory>/<8-digit number>` and the same with `.xxhash` (XXH64, seed 0, 16 upper-case hex digits).
A reader takes a missing number for that many times the length of the archive's first chunk in zeros, and reads on until
the disk's size is reached: so the first and the last chunk of a disk are always there (xapi: stream_vdi.ml).
"""

import tarfile
from collections.abc import Iterator

import xxhash

from v2x.disks.interface import Buffer
from v2x.model.units import MIB

CHUNK_BYTES = MIB
_TAR_BLOCK = 512
END_OF_ARCHIVE = bytes(2 * _TAR_BLOCK)
_ZERO_CHUNK = memoryview(bytes(CHUNK_BYTES))


def tar_header(name: str, size_bytes: int) -> bytes:
    """The 512-byte ustar header of a plain file, the same for every run."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size_bytes, 0o644
    return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def padding(size_bytes: int) -> bytes:
    """What fills a member of `size_bytes` up to a whole tar block."""
    return bytes(-size_bytes % _TAR_BLOCK)


def checksum(data: Buffer) -> bytes:
    """The content of a .xxhash member."""
    return xxhash.xxh64(data).hexdigest().upper().encode("ascii")


class ChunkedDisk:
    """The chunks of one disk of `size_bytes` (a multiple of 512) under `directory`, made from ascending data.

    `pieces` turns consecutive data into members; `finish` adds what must be there at the end.
    """

    def __init__(self, directory: str, size_bytes: int) -> None:
        if size_bytes <= 0 or size_bytes % _TAR_BLOCK:
            raise ValueError("a disk of whole sectors is needed")
        self._directory = directory
        self._size_bytes = size_bytes
        self._next = 0
        self.count = -(-size_bytes // CHUNK_BYTES)

    def length_of(self, number: int) -> int:
        """Bytes in chunk `number`: 1 MiB, less in the last."""
        return min(CHUNK_BYTES, self._size_bytes - number * CHUNK_BYTES)

    def stream_bytes(self, number: int) -> int:
        """Bytes that chunk `number` takes in the archive, with its headers and checksum."""
        return 3 * _TAR_BLOCK + self.length_of(number) + len(padding(self.length_of(number)))

    def pieces(self, offset: int, data: Buffer) -> Iterator[Buffer | bytes]:
        """Members for `data` at `offset` (a multiple of 1 MiB). A short end is filled with zeros to a whole chunk."""
        view = memoryview(data)
        first = offset // CHUNK_BYTES
        if offset % CHUNK_BYTES or first < self._next:
            raise ValueError(f"data for offset {offset} comes out of order")
        if self._next == 0 and first > 0:
            yield from self._member(0, _ZERO_CHUNK[: self.length_of(0)])
        for at in range(0, len(view), CHUNK_BYTES):
            number = first + at // CHUNK_BYTES
            part, wanted = view[at : at + CHUNK_BYTES], self.length_of(number)
            if len(part) < wanted:
                part = memoryview(bytes(part) + bytes(wanted - len(part)))
            yield from self._member(number, part[:wanted])

    def finish(self) -> Iterator[Buffer | bytes]:
        """The first and last chunk, as zeros, where no data has brought them."""
        if self._next == 0:
            yield from self._member(0, _ZERO_CHUNK[: self.length_of(0)])
        if self._next < self.count:
            yield from self._member(self.count - 1, _ZERO_CHUNK[: self.length_of(self.count - 1)])

    def _member(self, number: int, data: memoryview) -> Iterator[Buffer | bytes]:
        name = f"{self._directory}/{number:08d}"
        yield tar_header(name, len(data))
        yield data
        yield padding(len(data))
        digest = checksum(data)
        yield tar_header(f"{name}.xxhash", len(digest)) + digest + padding(len(digest))
        self._next = number + 1
