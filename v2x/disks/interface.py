# SPDX-License-Identifier: Apache-2.0
"""What every disk looks like to the rest of v2x, whatever its format and wherever it lies."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from v2x.disks.extent import Extent

Buffer = bytearray | memoryview


@runtime_checkable
class ByteSource(Protocol):
    """Random read access to the bytes of one file (local, a member of an archive, over HTTP or SMB)."""

    @property
    def name(self) -> str:
        """A name for messages, without secrets."""
        ...

    @property
    def size(self) -> int:
        """Bytes, fixed at opening."""
        ...

    def read_into(self, offset: int, buffer: Buffer) -> None:
        """Fills the whole buffer from `offset`. BadImage if the file ends before; SourceError if reading fails."""
        ...

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        """Holes of the file where known (SEEK_HOLE); otherwise one data extent."""
        ...

    def clone(self) -> "ByteSource":
        """A second handle for another thread."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Stamped(Protocol):
    """A byte source that tells whether its file may have been written to."""

    @property
    def write_id(self) -> str:
        """Equal as long as the file was not written to; without blanks."""
        ...


@runtime_checkable
class ForwardOnly(Protocol):
    """A disk reader that is quick in ascending order only: a step back lets all flow by again."""

    @property
    def flows_forward(self) -> bool: ...


@runtime_checkable
class SeveralAtOnce(Protocol):
    """A disk reader whose answers somebody else works for: clones that ask in turns keep him busy."""

    @property
    def at_once(self) -> int:
        """How many are worth it, itself among them."""
        ...


@runtime_checkable
class DiskReader(Protocol):
    """A disk as the guest sees it. Read only. One thread per reader; `clone()` for another.

    `size` is exact bytes (a multiple of 512 wherever the format allows no other). `block` is the natural granularity
    of reading in bytes. Errors: BadImage for contradictions in the file, SourceError for failed I/O.
    """

    @property
    def size(self) -> int: ...

    @property
    def block(self) -> int: ...

    def read_into(self, offset: int, buffer: Buffer) -> None:
        """Fills the whole buffer or raises; reading beyond `size` is a ValueError."""
        ...

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        """Ascending, adjoining extents that cover exactly `start` to `start + length`."""
        ...

    def clone(self) -> "DiskReader": ...

    def close(self) -> None:
        """Closes this handle and whatever it opened itself; safe to call twice."""
        ...
