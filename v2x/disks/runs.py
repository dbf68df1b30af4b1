# SPDX-License-Identifier: Apache-2.0
"""Runs in the tables of disk formats: neighbouring entries that count up by one step, found quickly."""

import sys
from array import array
from collections.abc import Iterator, Mapping
from typing import Final

_LANES: Final = 256


def stepping_runs(entries: "array[int]", step_of: Mapping[int, int], step: int) -> Iterator[tuple[int, int]]:
    """(index, count) of maximal runs in which each entry is the one before plus its step.

    `step_of` gives the step of special values, 0 for those that mean absent or zero; all others step by `step`.
    """
    index, count = 0, len(entries)
    while index < count:
        value = entries[index]
        stride = step_of.get(value, step)
        following = index + 1
        expected = value + stride
        while (
            following + _LANES <= count
            and entries[following + _LANES - 1] == expected + (_LANES - 1) * stride
            and _steps(entries[following : following + _LANES], expected, stride)
        ):
            following += _LANES
            expected += _LANES * stride
        while following < count and entries[following] == expected:
            following += 1
            expected += stride
        yield index, following - index
        index = following


def _lanes(values: "array[int]") -> int:
    return int.from_bytes(values.tobytes(), sys.byteorder)


_ONES: Final = {code: _lanes(array(code, [1] * _LANES)) for code in ("I", "Q")}
_RAMP: Final = {code: _lanes(array(code, range(_LANES))) for code in ("I", "Q")}


def _steps(values: "array[int]", first: int, stride: int) -> bool:
    """Whether `values` count up from `first` by `stride`: one comparison of long integers instead of 256 of short.

    The last value was compared before, so no lane can have carried into its neighbour.
    """
    code = values.typecode
    return _lanes(values) == first * _ONES[code] + stride * _RAMP[code]
