# SPDX-License-Identifier: Apache-2.0
"""Which parts of a disk changed, in areas of 64 KiB gathered by blocks of 2 MiB.

64 KiB is the finest that change tracking tells (vSphere); whatever comes finer is rounded outwards, so that an area is
always sent whole, with what the disk holds now.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from v2x.disks.extent import Extent
from v2x.disks.stream.feed import BLOCK_BYTES

AREA_BYTES: Final = 64 * 1024
_AREAS: Final = BLOCK_BYTES // AREA_BYTES
WHOLE: Final = (1 << _AREAS) - 1


class ChangedAreas:
    """One bit for each area of each block that changed; memory is that of a number for each such block."""

    def __init__(self, extents: Iterable[Extent] = (), size_bytes: int = 0) -> None:
        """The extents' areas, as far as they lie below `size_bytes`."""
        self._masks: dict[int, int] = {}
        for extent in extents:
            end = min(extent.end, size_bytes)
            if extent.start < end:
                self._add(extent.start // AREA_BYTES, -(-end // AREA_BYTES))

    def _add(self, first: int, following: int) -> None:
        while first < following:
            block, within = divmod(first, _AREAS)
            count = min(_AREAS - within, following - first)
            self._masks[block] = self._masks.get(block, 0) | ((1 << count) - 1) << within
            first += count

    def add_blocks(self, numbers: Iterable[int]) -> None:
        """These blocks as a whole."""
        self._masks.update(dict.fromkeys(numbers, WHOLE))

    @property
    def blocks(self) -> Sequence[int]:
        """The numbers of the blocks, ascending."""
        return sorted(self._masks)

    @property
    def length(self) -> int:
        """Bytes of all areas; the last of a disk counts whole."""
        return sum(mask.bit_count() for mask in self._masks.values()) * AREA_BYTES

    def mask(self, block: int) -> int:
        """Bit n stands for the area at n times 64 KiB of the block; 0 for a block that did not change."""
        return self._masks.get(block, 0)

    def parts(self, block: int, length: int) -> Iterator[tuple[int, int]]:
        """(offset, length) in the block of each run of areas, cut at `length`, ascending."""
        mask, area = self.mask(block), 0
        while mask and area * AREA_BYTES < length:
            skip = (mask & -mask).bit_length() - 1
            mask, area = mask >> skip, area + skip
            count = (~mask & mask + 1).bit_length() - 1
            end = min((area + count) * AREA_BYTES, length)
            if area * AREA_BYTES < end:
                yield area * AREA_BYTES, end - area * AREA_BYTES
            mask, area = mask >> count, area + count
