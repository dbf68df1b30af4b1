# SPDX-License-Identifier: Apache-2.0
"""A disk as a conversion leaves it, without a guest in it."""

from v2x.disks.extent import Extent
from v2x.disks.stream.feed import BLOCK_BYTES


class Changed:
    """A converted disk."""

    def __init__(self, data):
        self.data, self.size, self.block = data, len(data), BLOCK_BYTES

    def read_into(self, offset, buffer):
        buffer[:] = self.data[offset : offset + len(buffer)]

    def extents(self, start, length):
        for at in range(start, start + length, BLOCK_BYTES):
            part = self.data[at : min(at + BLOCK_BYTES, start + length)]
            yield Extent(at, len(part), any(part))

    def clone(self):
        return Changed(self.data)

    def close(self): ...
