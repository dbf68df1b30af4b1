# SPDX-License-Identifier: Apache-2.0
"""Sector bitmaps of differencing disks: which sectors of a block are its own."""

from collections.abc import Iterator
from typing import NamedTuple


class Stretch(NamedTuple):
    """Sectors `first` up to, not including, `end`; all of them present or none."""

    first: int
    end: int
    present: bool


def sector_map(raw: bytes, *, high_bit_first: bool) -> str:
    """A bitmap as a string with a "1" for each present sector, in the order of the sectors.

    The first sector is the lowest bit of the first byte, or with `high_bit_first` its highest. A string, because
    finding the next change in it is one call, however long the stretch.
    """
    if high_bit_first:
        return f"{int.from_bytes(raw, 'big'):0{len(raw) * 8}b}"
    return f"{int.from_bytes(raw, 'little'):0{len(raw) * 8}b}"[::-1]


def stretches(sectors: str, first: int, end: int) -> Iterator[Stretch]:
    """The longest stretches of one kind from sector `first` up to `end`, in order."""
    while first < end:
        present = sectors[first] == "1"
        change = sectors.find("0" if present else "1", first, end)
        stop = end if change < 0 else change
        yield Stretch(first, stop, present)
        first = stop
