# SPDX-License-Identifier: Apache-2.0
"""Finds zeros by reading: for sources whose files do not tell what is unused."""

from collections.abc import Iterator

from v2x.disks.extent import Extent, joined
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.disks.wrap import Wrapper


class ZeroScan(Wrapper):
    """The inner disk with extents found by reading all data: each 2 MiB of zeros is a hole. Costs one read of it."""

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        return joined(self._scanned(start, length))

    def _scanned(self, start: int, length: int) -> Iterator[Extent]:
        zeros = bytes(BLOCK_BYTES)
        chunk = bytearray(BLOCK_BYTES)
        for extent in self._inner.extents(start, length):
            if not extent.data:
                yield extent
                continue
            position = extent.start
            while position < extent.end:
                # Chunks end on multiples of the chunk size, so that a hole is a whole block of the target.
                count = min(BLOCK_BYTES - position % BLOCK_BYTES, extent.end - position)
                if count != len(chunk):
                    chunk = bytearray(count)
                self._inner.read_into(position, chunk)
                # bytearray == bytes is one memcmp; any per-byte test is a hundred times slower.
                empty = chunk == (zeros if count == BLOCK_BYTES else zeros[:count])
                yield Extent(position, count, not empty)
                position += count

    def clone(self) -> "ZeroScan":
        return ZeroScan(self._inner.clone())
