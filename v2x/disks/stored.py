# SPDX-License-Identifier: Apache-2.0
"""Which blocks of a disk hold more than zeros, where its map tells too much and a look costs little.

A VHD stream has its block table before its data, so what is known to be zeros by then is never sent. Hyper-V stores
32 MiB around each byte that was written ([MS-VHDX] 2.4.2.1 allows up to 256), and a thick VMDK all of its disk.
"""

from array import array
from collections.abc import Callable, Sequence
from typing import Final

from v2x.disks.interface import DiskReader
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.disks.wrap import Wrapper
from v2x.errors import Stopped
from v2x.model.units import KIB

_LOOK_BYTES: Final = 4 * KIB
# Where file systems begin, and then ever finer.
_LOOKS: Final = tuple(BLOCK_BYTES * eighth // 8 for eighth in (0, 4, 2, 6, 1, 3, 5, 7))
_FILE_SYSTEM_UNIT: Final = 4096
# A full disk is not searched for zeros block by block: on disks that seek, each look takes a third of reading a block.
_LOOKS_AT_FIRST: Final = 2048
_LOOKS_FOR_A_FIND: Final = 32
_STRIDE_WHEN_POOR: Final = 32


class LocalDisk(Wrapper):
    """The inner disk, whose files lie on this machine: reading a few bytes of it costs no round trip."""

    @property
    def tells_too_much(self) -> bool:
        """Whether its map may call zeros data: it knows only large blocks, or none at all (`block` is then 4096)."""
        return self.block == _FILE_SYSTEM_UNIT or self.block >= BLOCK_BYTES

    def clone(self) -> "LocalDisk":
        return LocalDisk(self._inner.clone())


def stored_blocks(
    reader: DiskReader, numbers: Sequence[int], stopping: Callable[[], bool] = lambda: False
) -> Sequence[int]:
    """Those of the blocks `numbers` (of 2 MiB, ascending) that may hold more than zeros.

    Looks at local disks only. A block is left out when all of it was read and is zeros. Where hardly any such are
    found, only every 32nd block is looked at until there is one again; the others stay in. Stopped when `stopping()`
    becomes true: a disk full of zeros takes minutes.
    """
    if not isinstance(reader, LocalDisk) or not reader.tells_too_much:
        return numbers
    search = _Search(reader)
    kept = array("I")
    looks = _LOOKS_AT_FIRST
    for number in numbers:
        if stopping():
            raise Stopped("stopped while looking for empty blocks", hint="run the same command again; it continues")
        if looks <= 0 and number % _STRIDE_WHEN_POOR:
            kept.append(number)
        elif search.is_zero(number):
            looks = min(_LOOKS_AT_FIRST, max(looks, 0) + _LOOKS_FOR_A_FIND)
        else:
            looks -= 1
            kept.append(number)
    return kept


class _Search:
    """Tells zeros from data by a look at a few places, and all zeros by reading the whole block."""

    def __init__(self, reader: DiskReader) -> None:
        self._reader = reader
        self._glance, self._no_glance = bytearray(_LOOK_BYTES), bytes(_LOOK_BYTES)
        self._block, self._no_block = bytearray(BLOCK_BYTES), bytes(BLOCK_BYTES)

    def is_zero(self, number: int) -> bool:
        start = number * BLOCK_BYTES
        length = min(BLOCK_BYTES, self._reader.size - start)
        for place in _LOOKS:
            if place + _LOOK_BYTES <= length:
                self._reader.read_into(start + place, self._glance)
                if self._glance != self._no_glance:
                    return False
        whole = self._block if length == BLOCK_BYTES else bytearray(length)
        self._reader.read_into(start, whole)
        # One memcmp; any test byte by byte is a hundred times slower.
        return whole == (self._no_block if length == BLOCK_BYTES else self._no_block[:length])
