# SPDX-License-Identifier: Apache-2.0
"""Files split by an exporter into chunks `NAME.000000000`, `NAME.000000001`, … (DSP0243, section 7.1)."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from v2x.disks.extent import Extent
from v2x.disks.interface import Buffer, ByteSource
from v2x.disks.listing import Listing
from v2x.errors import BadImage

MOST_CHUNKS = 10_000


def chunk_names(name: str, there: Iterable[str]) -> list[str]:
    """The chunks of `name` among the names `there`, in order, up to the first gap."""
    present = set(there)
    found: list[str] = []
    while len(found) < MOST_CHUNKS and f"{name}.{len(found):09d}" in present:
        found.append(f"{name}.{len(found):09d}")
    return found


class JoinedSource:
    """Several byte sources read as one, which owns them."""

    def __init__(self, parts: Sequence[ByteSource], name: str) -> None:
        self._parts = list(parts)
        self._name = name
        self._starts = [0]
        for part in self._parts:
            self._starts.append(self._starts[-1] + part.size)

    @property
    def name(self) -> str:
        return self._name

    @property
    def size(self) -> int:
        return self._starts[-1]

    def read_into(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer)
        if offset < 0 or offset + len(view) > self.size:
            raise BadImage(f"{self._name} ends at byte {self.size:,} where more was expected", hint="copy it again")
        while view:
            number, begin, length = self._piece(offset, len(view))
            self._parts[number].read_into(begin, view[:length])
            view = view[length:]
            offset += length

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        while length:
            number, begin, here = self._piece(start, length)
            for extent in self._parts[number].extents(begin, here):
                yield Extent(extent.start + self._starts[number], extent.length, extent.data)
            start += here
            length -= here

    def _piece(self, offset: int, length: int) -> tuple[int, int, int]:
        number = bisect_right(self._starts, offset) - 1
        return number, offset - self._starts[number], min(length, self._starts[number + 1] - offset)

    def clone(self) -> "JoinedSource":
        return JoinedSource([part.clone() for part in self._parts], self._name)

    def close(self) -> None:
        for part in self._parts:
            part.close()


class ChunkListing:
    """`inner`, with the files of `chunks` (name → chunk size in bytes) joined from their chunks."""

    def __init__(self, inner: Listing, chunks: dict[str, int]) -> None:
        self.inner = inner
        self._chunks = {name: size for name, size in chunks.items() if chunk_names(name, inner.names())}

    def names(self) -> list[str]:
        return [*self.inner.names(), *self._chunks]

    def parts(self, name: str) -> list[str]:
        """The files that hold `name`: its chunks, or itself."""
        return chunk_names(name, self.inner.names()) if name in self._chunks else [name]

    def open(self, name: str) -> ByteSource:
        if name not in self._chunks:
            return self.inner.open(name)
        names = chunk_names(name, self.inner.names())
        parts: list[ByteSource] = []
        try:
            for number, chunk in enumerate(names):
                parts.append(self.inner.open(chunk))
                last = number == len(names) - 1
                if parts[-1].size != self._chunks[name] and not (last and parts[-1].size < self._chunks[name]):
                    raise BadImage(
                        f"{chunk} has {parts[-1].size:,} bytes, a chunk of {name} has {self._chunks[name]:,}",
                        hint="a chunk is truncated or missing; copy the files again",
                    )
        except BaseException:
            for part in parts:
                part.close()
            raise
        return JoinedSource(parts, name)
