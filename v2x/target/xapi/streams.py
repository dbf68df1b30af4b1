# SPDX-License-Identifier: Apache-2.0
"""The stream formats of /import_raw_vdi, each as one upload of chosen blocks.

Facts: xapi, vhd-tool impl.ml, vhd_format f.ml, ocaml-qcow qcow_stream.ml.

`SEGMENTED` formats can carry any part of a disk, so an upload is cut and continued; the others hold the whole disk.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, runtime_checkable
from uuid import UUID

from v2x.disks.areas import ChangedAreas
from v2x.disks.interface import Buffer
from v2x.disks.stream import qcow2_check
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.disks.stream.qcow2 import Qcow2Layout
from v2x.disks.stream.raw import CHUNKED_END, chunk_header
from v2x.disks.stream.vhd import VhdLayout
from v2x.disks.stream.vhd_check import check_head
from v2x.model.target import UploadFormat
from v2x.model.units import MIB, SECTOR
from v2x.target.chunks import END_OF_ARCHIVE, ChunkedDisk

Piece = Buffer | bytes


SEGMENTED = frozenset({UploadFormat.VHD, UploadFormat.CHUNKED, UploadFormat.QCOW2})


class Stream(Protocol):
    """One upload. `content_length` is exact; `query` says the format to the pool.

    `block` takes 2 MiB, or less for the disk's last block; its pieces may refer to `data` and are sent at once.
    """

    content_length: int
    query: Mapping[str, str]

    def head(self) -> Iterator[Piece]: ...

    def block(self, number: int, data: Buffer) -> Iterator[Piece]: ...

    def foot(self) -> Iterator[Piece]: ...


@runtime_checkable
class TellsBlanks(Protocol):
    """Streams whose receiver can be told not to write a block that was announced and is in the stream."""

    def blank(self, number: int, data: Buffer) -> Iterator[Piece]: ...


@runtime_checkable
class CarriesParts(Protocol):
    """Streams that carry only parts of a block."""

    def content_bytes(self, number: int) -> int:
        """How much of the block's content they carry."""
        ...


class Vhd:
    """The receiver writes the sectors whose bit is set in a block's bitmap, and throws the others away.

    With `areas`, only their bits are set: a block travels whole, and the rest of it is left on the disk as it is.
    """

    query: Mapping[str, str] = MappingProxyType({"format": "vhd"})

    def __init__(
        self,
        size_bytes: int,
        blocks: Sequence[int],
        *,
        uuid: UUID,
        timestamp: int,
        areas: ChangedAreas | None = None,
    ) -> None:
        self._areas = areas
        self._layout = VhdLayout(size_bytes, blocks, uuid=uuid, timestamp=timestamp)
        self.content_length = self._layout.content_length

    def head(self) -> Iterator[Piece]:
        made = self._layout.head()
        check_head(made, self.content_length)
        yield made

    def block(self, number: int, data: Buffer) -> Iterator[Piece]:
        return self._pieces(self._bitmap(number), data)

    def _bitmap(self, number: int) -> bytes:
        whole = self._layout.bitmap(number)
        if self._areas is None:
            return whole
        marked = bytearray(len(whole))
        for offset, length in self._areas.parts(number, BLOCK_BYTES):
            bits = slice(offset // SECTOR // 8, (offset + length) // SECTOR // 8)
            marked[bits] = whole[bits]
        return bytes(marked)

    def blank(self, number: int, data: Buffer) -> Iterator[Piece]:
        return self._pieces(bytes(len(self._layout.bitmap(number))), data)

    def _pieces(self, bitmap: Piece, data: Buffer) -> Iterator[Piece]:
        yield bitmap
        yield data
        if len(data) < BLOCK_BYTES:
            yield bytes(BLOCK_BYTES - len(data))

    def foot(self) -> Iterator[Piece]:
        yield self._layout.foot()


class Qcow2:
    query: Mapping[str, str] = MappingProxyType({"format": "qcow2"})

    def __init__(self, size_bytes: int, blocks: Sequence[int]) -> None:
        self._layout = Qcow2Layout(size_bytes, blocks)
        self.content_length = self._layout.content_length

    def head(self) -> Iterator[Piece]:
        # Made twice, for it may be larger than memory should be, and nothing is sent of one that would be refused.
        qcow2_check.check_head(self._layout.head(), self.content_length)
        return self._layout.head()

    def block(self, number: int, data: Buffer) -> Iterator[Piece]:
        wanted = self._layout.block_length(number)
        yield memoryview(data)[:wanted]
        if len(data) < wanted:
            yield bytes(wanted - len(data))

    def foot(self) -> Iterator[Piece]:
        return iter(())


class Chunked:
    """Chunks of any place and length in any order; with `areas`, one for each run of them in a block."""

    query: Mapping[str, str] = MappingProxyType({"format": "raw", "chunked": "true"})

    def __init__(self, size_bytes: int, blocks: Sequence[int], areas: ChangedAreas | None = None) -> None:
        self._size_bytes, self._areas = size_bytes, areas
        lengths = [length for number in blocks for _, length in self._parts(number)]
        self.content_length = sum(lengths) + 12 * len(lengths) + len(CHUNKED_END)

    def _parts(self, number: int) -> Sequence[tuple[int, int]]:
        length = self._length(number)
        return [(0, length)] if self._areas is None else list(self._areas.parts(number, length))

    def content_bytes(self, number: int) -> int:
        return sum(length for _, length in self._parts(number))

    def _length(self, number: int) -> int:
        return min(BLOCK_BYTES, self._size_bytes - number * BLOCK_BYTES)

    def head(self) -> Iterator[Piece]:
        return iter(())

    def block(self, number: int, data: Buffer) -> Iterator[Piece]:
        for offset, wanted in self._parts(number):
            yield chunk_header(number * BLOCK_BYTES + offset, wanted)
            held = memoryview(data)[offset : offset + wanted]
            yield held
            if len(held) < wanted:
                yield bytes(wanted - len(held))

    def foot(self) -> Iterator[Piece]:
        yield CHUNKED_END


class Raw:
    """The whole disk from its first to its last byte; blocks that were not announced are zeros."""

    query: Mapping[str, str] = MappingProxyType({"format": "raw"})

    def __init__(self, size_bytes: int, blocks: Sequence[int]) -> None:
        self.content_length = size_bytes
        self._at = 0
        self._zeros = memoryview(bytes(MIB))

    def _until(self, offset: int) -> Iterator[Piece]:
        while self._at < offset:
            piece = self._zeros[: offset - self._at]
            self._at += len(piece)
            yield piece

    def head(self) -> Iterator[Piece]:
        return iter(())

    def block(self, number: int, data: Buffer) -> Iterator[Piece]:
        yield from self._until(number * BLOCK_BYTES)
        view = memoryview(data)[: self.content_length - self._at]
        self._at += len(view)
        yield view

    def foot(self) -> Iterator[Piece]:
        return self._until(self.content_length)


class Tar:
    """The whole disk; the pool checks each chunk's checksum."""

    query: Mapping[str, str] = MappingProxyType({"format": "tar"})

    def __init__(self, size_bytes: int, blocks: Sequence[int]) -> None:
        self._disk = ChunkedDisk("vdi", size_bytes)
        per_block, last = BLOCK_BYTES // MIB, self._disk.count - 1
        chunks = sum(min(per_block, self._disk.count - number * per_block) for number in blocks)
        chunks += not blocks or blocks[0] != 0
        chunks += (not blocks or blocks[-1] != last // per_block) and last > 0
        # All chunks but the last have one length.
        self.content_length = (
            (chunks - 1) * self._disk.stream_bytes(0) + self._disk.stream_bytes(last) + len(END_OF_ARCHIVE)
        )

    def head(self) -> Iterator[Piece]:
        return iter(())

    def block(self, number: int, data: Buffer) -> Iterator[Piece]:
        # All chunks of a block are sent, so that the length is known beforehand.
        offset = number * BLOCK_BYTES
        wanted = min(BLOCK_BYTES, self._disk.count * MIB - offset)
        if len(data) < wanted:
            data = memoryview(bytes(data) + bytes(wanted - len(data)))
        return self._disk.pieces(offset, data)

    def foot(self) -> Iterator[Piece]:
        yield from self._disk.finish()
        yield END_OF_ARCHIVE


def opener(
    upload_format: UploadFormat,
    *,
    new_uuid: Callable[[], UUID],
    clock: Callable[[], float],
    areas: ChangedAreas | None = None,
) -> Callable[[int, Sequence[int]], Stream]:
    """Makes streams of a format for (VDI size in bytes, block numbers). `clock` gives Unix seconds.

    Formats that can tell parts of a block apart write only `areas`; the others write the blocks whole.
    """
    plain: dict[UploadFormat, Callable[[int, Sequence[int]], Stream]] = {
        UploadFormat.RAW: Raw,
        UploadFormat.CHUNKED: lambda size, blocks: Chunked(size, blocks, areas),
        UploadFormat.TAR: Tar,
        UploadFormat.QCOW2: Qcow2,
    }
    if upload_format in plain:
        return plain[upload_format]
    return lambda size, blocks: Vhd(size, blocks, uuid=new_uuid(), timestamp=int(clock()), areas=areas)
