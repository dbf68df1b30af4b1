# SPDX-License-Identifier: Apache-2.0
"""VHDX files as layers of a chain."""

from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from v2x.disks.chain import ABSENT, DATA, ZERO, Part, part_with_holes
from v2x.disks.interface import ByteSource
from v2x.disks.parents import Identity, ParentLink
from v2x.disks.probe.fields import field_bytes
from v2x.disks.runs import stepping_runs
from v2x.disks.sectors import sector_map, stretches
from v2x.disks.vhdx.log import replayed
from v2x.disks.vhdx.metadata import Metadata, parent_link, read_metadata
from v2x.disks.vhdx.structure import BAT, METADATA, Region, read_header, read_regions
from v2x.disks.vhdx.table import NOT_PRESENT, PARTIAL, PRESENT, STATE, STEPS, BlockTable, place_of
from v2x.errors import Unsupported

_PAGES_KEPT: Final = 4
_MAPS_KEPT: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An opened and checked file; shared between the clones of its layer."""

    identity: Identity
    parent: ParentLink | None
    metadata: Metadata
    table: BlockTable
    stored_blocks: int


@dataclass(frozen=True, slots=True)
class _Runs:
    """One page of the table. Run `i` begins at block `starts[i]` of the page with the table's entry `entries[i]`."""

    starts: "array[int]"
    entries: "array[int]"


class VhdxLayer:
    """A ChainLayer over one VHDX, whose source it owns."""

    def __init__(self, source: ByteSource, image: Image) -> None:
        self._source = source
        self._image = image
        self._block_bytes = image.metadata.block_bytes
        self._span = image.table.page_blocks * self._block_bytes
        self._pages: OrderedDict[int, _Runs] = OrderedDict()
        self._maps: OrderedDict[int, str] = OrderedDict()

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def size(self) -> int:
        return self._image.metadata.size_bytes

    @property
    def block(self) -> int:
        return self._block_bytes

    @property
    def identity(self) -> Identity:
        return self._image.identity

    @property
    def parent(self) -> ParentLink | None:
        return self._image.parent

    @property
    def variant(self) -> str:
        if self._image.parent is not None:
            return "differencing"
        return "fixed" if self._image.metadata.fixed else "dynamic"

    @property
    def sector_bytes(self) -> int:
        return self._image.metadata.sector_bytes

    @property
    def allocated_bytes(self) -> int:
        return min(self.size, self._image.stored_blocks * self._block_bytes)

    def parts(self, start: int, length: int) -> Iterator[Part]:
        end = start + length
        while start < end:
            page = start // self._span
            limit = min(end, (page + 1) * self._span)
            yield from self._within(page, start, limit)
            start = limit

    def parts_with_holes(self, start: int, length: int) -> Iterator[Part]:
        """Blocks are 32 MiB and more, all of which is stored for one byte: what the file itself lacks are zeros."""
        for part in self.parts(start, length):
            if part.kind == DATA:
                yield from part_with_holes(self._source, part)
            else:
                yield part

    def _within(self, page: int, start: int, limit: int) -> Iterator[Part]:
        runs = self._runs(page)
        base = page * self._span
        number = bisect_right(runs.starts, (start - base) // self._block_bytes) - 1
        while start < limit:
            begin = base + runs.starts[number] * self._block_bytes
            end = limit
            if number + 1 < len(runs.starts):
                end = min(limit, base + runs.starts[number + 1] * self._block_bytes)
            entry = runs.entries[number]
            state = entry & STATE
            if state == PRESENT:
                yield Part(start, end - start, DATA, place_of(entry) + start - begin)
            elif state == PARTIAL:
                yield from self._partial(start, end, place_of(entry) - begin)
            else:
                # Undefined and unmapped blocks are zeros here: of what the specification allows, what tells least.
                yield Part(start, end - start, ABSENT if state == NOT_PRESENT else ZERO, 0)
            start = end
            number += 1

    def _partial(self, start: int, end: int, shift: int) -> Iterator[Part]:
        """Parts of partly stored blocks whose bytes lie in the file `shift` after their place on the disk."""
        sector = self.sector_bytes
        while start < end:
            block = start // self._block_bytes
            base = block * self._block_bytes
            stop = min(end, base + self._block_bytes)
            first, last = (start - base) // sector, (stop - base - 1) // sector + 1
            for stretch in stretches(self._map(block), first, last):
                begin = max(start, base + stretch.first * sector)
                length = min(stop, base + stretch.end * sector) - begin
                yield Part(begin, length, DATA if stretch.present else ABSENT, begin + shift)
            start = stop

    def _map(self, block: int) -> str:
        found = self._maps.get(block)
        if found is None:
            table = self._image.table
            length = self._block_bytes // self.sector_bytes // 8
            at = table.bitmap_place(self._source, block // table.ratio) + block % table.ratio * length
            found = sector_map(field_bytes(self._source, at, length, "a sector bitmap"), high_bit_first=False)
            self._maps[block] = found
            if len(self._maps) > _MAPS_KEPT:
                self._maps.popitem(last=False)
        return found

    def _runs(self, page: int) -> _Runs:
        runs = self._pages.get(page)
        if runs is not None:
            self._pages.move_to_end(page)
            return runs
        entries = self._image.table.page(self._source, page)
        starts = array("I", (index for index, _ in stepping_runs(entries, STEPS, self._block_bytes)))
        runs = _Runs(starts, array("Q", (entries[index] for index in starts)))
        self._pages[page] = runs
        if len(self._pages) > _PAGES_KEPT:
            self._pages.popitem(last=False)
        return runs

    def read_part(self, part: Part, view: memoryview) -> None:
        self._source.read_into(part.at, view)

    def read_span(self, at: int, view: memoryview) -> None:
        self._source.read_into(at, view)

    def clone(self) -> "VhdxLayer":
        return VhdxLayer(self._source.clone(), self._image)

    def close(self) -> None:
        self._source.close()


def open_layer(source: ByteSource, *, native_4k: bool = False) -> VhdxLayer:
    """Any VHDX, checked, with its log replayed in memory; the layer owns `source`.

    BadImage for damage, Unsupported for unknown features and, without `native_4k`, for disks with sectors of 4096
    bytes: their partition tables count in such sectors, and virtual disks of XCP-ng have sectors of 512 bytes.
    """
    header = read_header(source)
    current = replayed(source, header)
    regions = read_regions(current, header)
    metadata = read_metadata(current, regions[METADATA])
    if metadata.sector_bytes != 512 and not native_4k:
        raise native_4k_refused(source.name, metadata.sector_bytes)
    link = parent_link(metadata, source.name)
    table = BlockTable(source.name, regions[BAT], metadata)
    log = Region(header.log_offset, header.log_bytes)
    stored = table.check(current, [log, *regions.values()])
    image = Image(
        identity=Identity(header.data_write_id), parent=link, metadata=metadata, table=table, stored_blocks=stored
    )
    return VhdxLayer(current, image)


def native_4k_refused(name: str, sector_bytes: int) -> Unsupported:
    """Why a disk with sectors of 4096 bytes is not read without being asked for."""
    return Unsupported(
        f"{name} has sectors of {sector_bytes:,} bytes (4Kn): its partitions would not be found "
        "on XCP-ng, whose disks have sectors of 512 bytes",
        hint="copy its content to a disk with 512-byte sectors inside the guest; "
        "v2x convert --large-sectors gives its bytes as a file",
    )
