# SPDX-License-Identifier: Apache-2.0
"""Disks as numbered, checksummed chunks in a tar: the reader's rules of xapi: stream_vdi.ml."""

import hashlib
from collections.abc import Callable

from v2x.simulators.xapi.failure import StreamBroken
from v2x.simulators.xapi.transfer.body import Progress, Source, Write
from v2x.simulators.xapi.transfer.tarball import BLOCK, Header, parse_header

_CHUNK_LIMIT_BYTES = 64 * 1024 * 1024
Zero = Callable[[int, int], None]


class ChecksumFailed(StreamBroken):
    """A chunk differs from its checksum."""


class ChunkReader:
    """Reads the members of one archive. `lenient`: a wrong checksum is passed over (force)."""

    def __init__(self, source: Source, *, lenient: bool = False, watch: Callable[[], None] = lambda: None) -> None:
        self._source = source
        self._lenient = lenient
        self._watch = watch
        self._first_length: int | None = None

    def header(self) -> Header | None:
        """The next member; None at the end of the archive."""
        return parse_header(self._source.read(BLOCK))

    def content(self, header: Header) -> bytes:
        """The whole of a small member, its padding taken away too."""
        if header.size > _CHUNK_LIMIT_BYTES:
            raise StreamBroken(f"member {header.name} has {header.size} bytes")
        data = self._source.read(header.size)
        self._source.read(header.padding)
        return data

    def disk(self, prefix: str, size: int, write: Write, zero: Zero | None, progress: Progress) -> None:
        """One disk of `size` bytes whose members are `<prefix>/<number>`. `zero` fills gaps, None leaves them."""
        number, offset = -1, 0
        while offset < size:
            self._watch()
            header = self.header()
            if header is None:
                raise StreamBroken(f"Expected VDI chunk prefixed {prefix}, found the end: Invalid XVA file")
            found = self._number(header, prefix, number)
            if self._first_length is None:
                if header.size == 0:
                    raise StreamBroken("the first chunk is empty: Invalid XVA file")
                self._first_length = header.size
            gap = (found - number - 1) * self._first_length
            if gap and zero is not None:
                zero(offset, min(gap, size - offset))
            self._chunk(header, offset + gap, write)
            number, offset = found, offset + gap + header.size
            progress(min(offset / size, 1.0))

    def _number(self, header: Header, prefix: str, last: int) -> int:
        """The number of a chunk, which must be greater than the last; the first one of a disk is 0."""
        name = header.name.removeprefix(f"{prefix}/")
        if name == header.name or not (len(name) == 8 and name.isascii() and name.isdigit()):
            raise StreamBroken(f"Expected VDI chunk prefixed {prefix}, found {header.name}: Invalid XVA file")
        found = int(name)
        if found <= last or (last == -1 and found != 0):
            raise StreamBroken(f"chunk {header.name} after number {last}: Invalid XVA file")
        if header.size > _CHUNK_LIMIT_BYTES:
            raise StreamBroken(f"chunk {header.name} has {header.size} bytes: Invalid XVA file")
        return found

    def _chunk(self, header: Header, offset: int, write: Write) -> None:
        """Data, then the member with its checksum. The data's padding goes after the next header, as in xapi."""
        data = bytearray(header.size)
        self._source.read_into(memoryview(data))
        follows = self.header()
        self._source.read(header.padding)
        if follows is None:
            raise StreamBroken(f"no checksum after {header.name}: Invalid XVA file")
        told = self.content(follows).decode("ascii", "replace")
        if follows.name == f"{header.name}.xxhash":
            import xxhash

            seen = xxhash.xxh64_hexdigest(data, seed=0).upper()
        elif follows.name == f"{header.name}.checksum":
            seen = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        else:
            raise StreamBroken(f"{follows.name} is no checksum of {header.name}: Invalid XVA file")
        if seen != told and not self._lenient:
            raise ChecksumFailed(f"Block {header.name} checksum failed: original = {told}, recomputed = {seen}")
        if data:
            write(memoryview(data), offset)
