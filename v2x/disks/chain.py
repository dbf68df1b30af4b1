# SPDX-License-Identifier: Apache-2.0
"""Chains of layers: a disk whose bytes lie in a delta, else in its parent, and so on down to the base.

A layer answers for a range of the disk which parts it holds: data at some place of its file, surely zeros, or nothing
of its own, in which case the layer below decides. Below the base, and beyond the end of a parent that is smaller than
its child, everything is zeros. A single file is a chain of one layer.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol, runtime_checkable

from v2x.disks.extent import Extent, joined
from v2x.disks.interface import Buffer, ByteSource
from v2x.errors import BadImage

MAX_DEPTH: Final = 64
MAX_DISK_BYTES: Final = 64 << 40

CRUMB_BYTES: Final = 64 << 10
SPAN_BYTES: Final = 2 << 20
FEWEST_CRUMBS: Final = 4

ABSENT: Final = 0
ZERO: Final = 1
DATA: Final = 2

_ZEROS: Final = memoryview(bytes(1 << 20))


class Part(NamedTuple):
    """`length` bytes of the disk from `start`; `kind` is ABSENT, ZERO or DATA; `at` is the layer's own business."""

    start: int
    length: int
    kind: int
    at: int


class Layer(Protocol):
    """One file, or one set of files, of a chain. One thread per layer; `clone()` for another."""

    @property
    def size(self) -> int:
        """Bytes of the disk that this layer covers."""
        ...

    @property
    def block(self) -> int:
        """Granularity of allocation in bytes."""
        ...

    def parts(self, start: int, length: int) -> Iterator[Part]:
        """Ascending, adjoining parts of exactly that range, which lies within `size`."""
        ...

    def parts_with_holes(self, start: int, length: int) -> Iterator[Part]:
        """The same with the file system asked too, which costs calls but tells the zeros of flat files."""
        ...

    def read_part(self, part: Part, view: memoryview) -> None:
        """Fills `view` with a DATA part that `parts` gave, or the first bytes of one."""
        ...

    def clone(self) -> "Layer": ...

    def close(self) -> None: ...


@runtime_checkable
class SpanLayer(Layer, Protocol):
    """A layer whose parts' `at` is an offset of its file, so that neighbours can be read at once."""

    def read_span(self, at: int, view: memoryview) -> None:
        """Fills `view` from offset `at` of the file, whatever these bytes belong to; they lie between its parts."""
        ...


def part_with_holes(source: ByteSource, part: Part) -> Iterator[Part]:
    """A DATA part whose `at` is an offset of `source`'s file: what that lacks there are zeros."""
    for extent in source.extents(part.at, part.length):
        kind = DATA if extent.data else ZERO
        yield Part(part.start + extent.start - part.at, extent.length, kind, extent.start)


def fill_zeros(view: memoryview) -> None:
    """Overwrites `view` with zeros, by copying from one shared buffer."""
    step = len(_ZEROS)
    for at in range(0, len(view), step):
        piece = view[at : at + step]
        piece[:] = _ZEROS[: len(piece)]


def check_range(start: int, length: int, size: int) -> None:
    """ValueError unless `start` to `start + length` lies within `size`: a mistake of the caller, not of the image."""
    if start < 0 or length < 0 or start + length > size:
        raise ValueError(f"bytes {start:,} to {start + length:,} lie outside a disk of {size:,} bytes")


class ChainReader:
    """A DiskReader over layers, the one in use first. Its size is that of the first layer.

    `experimental` is set when a layer's format was never read against files of the real product.
    """

    def __init__(self, layers: Sequence[Layer], *, experimental: bool = False) -> None:
        if not layers:
            raise ValueError("a chain has at least one layer")
        if len(layers) > MAX_DEPTH:
            raise too_deep(len(layers))
        self._layers: Sequence[Layer] = tuple(layers)
        self._size = layers[0].size
        self.experimental = experimental

    @property
    def size(self) -> int:
        return self._size

    @property
    def block(self) -> int:
        return self._layers[0].block

    @property
    def depth(self) -> int:
        return len(self._layers)

    def read_into(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer).cast("B")
        check_range(offset, len(view), self._size)
        self._fill(0, offset, view)

    def _fill(self, level: int, offset: int, view: memoryview) -> None:
        layer = self._layers[level]
        inside = min(len(view), max(0, layer.size - offset))
        for parts in crumbs(layer.parts(offset, inside)):
            if len(parts) < FEWEST_CRUMBS:
                for part in parts:
                    self._fill_part(level, part, view[part.start - offset :][: part.length])
            else:
                begin = parts[0].start - offset
                self._fill_crumbs(level, parts, view[begin : parts[-1].start + parts[-1].length - offset])
        if inside < len(view):
            fill_zeros(view[inside:])

    def _fill_part(self, level: int, part: Part, piece: memoryview) -> None:
        if part.kind == DATA:
            self._layers[level].read_part(part, piece)
        elif part.kind == ABSENT and level + 1 < len(self._layers):
            self._fill(level + 1, part.start, piece)
        else:
            fill_zeros(piece)

    def _fill_crumbs(self, level: int, parts: Sequence[Part], view: memoryview) -> None:
        """Many small parts: what the layers below have for all of them at once, then this layer's own over it.

        A checkpoint's disk alternates with its parent from one cluster of the guest's file system to the next; one
        request for each of them would be hundreds for a block, and each a round trip where the file is on a share.
        """
        layer, first = self._layers[level], parts[0].start
        if any(part.kind == ABSENT for part in parts):
            below = level + 1 < len(self._layers)
            self._fill(level + 1, first, view) if below else fill_zeros(view)
        for part in parts:
            if part.kind == ZERO:
                fill_zeros(view[part.start - first :][: part.length])
        for group in _neighbours([part for part in parts if part.kind == DATA]):
            begin, shift = group[0].start, group[0].at - group[0].start
            if len(group) == 1 or not isinstance(layer, SpanLayer):
                for part in group:
                    layer.read_part(part, view[part.start - first :][: part.length])
                continue
            scratch = memoryview(bytearray(group[-1].start + group[-1].length - begin))
            layer.read_span(begin + shift, scratch)
            for part in group:
                view[part.start - first :][: part.length] = scratch[part.start - begin :][: part.length]

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        check_range(start, length, self._size)
        return joined(self._extents(0, start, length))

    def _extents(self, level: int, start: int, length: int) -> Iterator[Extent]:
        layer = self._layers[level]
        inside = min(length, max(0, layer.size - start))
        for part in layer.parts_with_holes(start, inside):
            if part.kind == ABSENT and level + 1 < len(self._layers):
                yield from self._extents(level + 1, part.start, part.length)
            else:
                yield Extent(part.start, part.length, part.kind == DATA)
        if inside < length:
            yield Extent(start + inside, length - inside, False)

    def held_above(self, depth: int) -> list[Extent]:
        """The areas of which the first `depth` layers hold anything of their own, zeros too; ascending, merged."""
        areas = sorted(
            (part.start, part.start + part.length)
            for layer in self._layers[:depth]
            for part in layer.parts(0, min(layer.size, self._size))
            if part.kind != ABSENT
        )
        merged: list[Extent] = []
        for start, end in areas:
            if merged and start <= merged[-1].end:
                merged[-1] = Extent(merged[-1].start, max(end, merged[-1].end) - merged[-1].start, True)
            else:
                merged.append(Extent(start, end - start, True))
        return merged

    def clone(self) -> "ChainReader":
        return ChainReader([layer.clone() for layer in self._layers], experimental=self.experimental)

    def close(self) -> None:
        for layer in self._layers:
            layer.close()


def crumbs(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """Neighbouring parts below CRUMB_BYTES in groups that span at most SPAN_BYTES; larger parts one by one."""
    group: list[Part] = []
    for part in parts:
        if part.length >= CRUMB_BYTES:
            if group:
                yield group
            yield [part]
            group = []
            continue
        if group and part.start + part.length - group[0].start > SPAN_BYTES:
            yield group
            group = []
        group.append(part)
    if group:
        yield group


def _neighbours(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """Parts that lie in the file as they lie on the disk, as those of one block do."""
    group: list[Part] = []
    for part in parts:
        if group and part.at - part.start != group[0].at - group[0].start:
            yield group
            group = []
        group.append(part)
    if group:
        yield group


def too_deep(depth: int) -> BadImage:
    """The refusal of a chain deeper than any hypervisor makes."""
    return BadImage(
        f"the disk's chain is {depth} files deep; at most {MAX_DEPTH} are read",
        hint="consolidate the snapshots at the source",
    )
