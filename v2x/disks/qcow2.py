# SPDX-License-Identifier: Apache-2.0
"""QCOW2 read by its own tables: the disk as it is now, of self-contained images, versions 2 and 3.

By the format's published specification (docs/interop/qcow2 of qemu). An entry of a level-2 table names a cluster of the
file, a compressed one by its place and its sectors, zeros, or nothing. Images with extended tables or compressed by
zstd are left to qemu-nbd; internal snapshots are not looked at.
"""

from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Final

from v2x.disks.chain import DATA, ChainReader, Part, part_with_holes
from v2x.disks.grains import TARGET_ABSENT, TARGET_ZERO, Geometry, GrainLayer, Runs
from v2x.disks.inflate import WORKERS, Inflated, Stored, deflate_cluster, inflated
from v2x.disks.interface import ByteSource
from v2x.disks.listing import Listing
from v2x.disks.probe.qcow2 import OFFSET, PACKED, READS_ZERO, Header, checked_header
from v2x.disks.runs import stepping_runs
from v2x.errors import BadImage
from v2x.model.units import MIB, SECTOR

# Where runs of compressed clusters begin: beyond any offset of a file, so that a part's place tells them.
_INFLATED: Final = 1 << 62
_BATCH_BYTES: Final = 512 << 10
_KEPT_BYTES: Final = 8 * MIB


class Qcow2Layer(GrainLayer):
    """A Layer over one image, which it owns. BadImage for entries that no writer makes, once they are met."""

    def __init__(self, source: ByteSource, header: Header) -> None:
        geometry = Geometry(
            size_bytes=header.size,
            grain_bytes=header.cluster_bytes,
            table_entries=header.cluster_bytes // 8,
            entry_bytes=8,
            directory_offset=header.l1_offset,
            directory_entries=header.l1_entries,
            byte_order="big",
        )
        super().__init__(source, geometry)
        self._header = header
        self._cluster = header.cluster_bytes
        self._place_bits = 62 - (header.cluster_bits - 8)
        self._kept: OrderedDict[int, bytes | bytearray] = OrderedDict()

    def table_offset(self, entry: int) -> int:
        offset = entry & OFFSET
        if not offset or offset % self._cluster:
            raise BadImage(
                f"{self._source.name} has a level-2 table at byte {offset:,}, which is no cluster",
                hint="the file is damaged; copy it again",
            )
        return offset

    def decode(self, entries: "array[int]") -> Runs:
        """Runs of one kind; of stored clusters those that lie one after the other, of compressed ones all."""
        starts, targets = array("I"), array("q")
        packed = False
        for index, count in stepping_runs(entries, {0: 0, READS_ZERO: 0}, self._cluster):
            entry = entries[index]
            if entry >> 62 != entries[index + count - 1] >> 62:
                # Counting on has reached the bits that tell kinds apart; such places lie beyond any file.
                raise self.outside(entries[index + count - 1])
            if entry & PACKED:
                self._packed_place(entry)
                if packed:
                    continue
                packed, target = True, _INFLATED
            else:
                packed, target = False, self._target(entry)
            starts.append(index)
            targets.append(target)
        return Runs(entries, starts, targets)

    def _target(self, entry: int) -> int:
        if entry & READS_ZERO:
            if self._header.version == 2:
                raise BadImage(
                    f"{self._source.name} has clusters of zeros, which version 2 does not know",
                    hint="the file is damaged; copy it again",
                )
            return TARGET_ZERO
        offset = entry & OFFSET
        if not offset:
            return TARGET_ABSENT
        if offset >= self._source.size:
            raise self.outside(entry)
        if offset % self._cluster:
            raise BadImage(
                f"a cluster of {self._source.name} begins at byte {offset:,}, which is no cluster",
                hint="the file is damaged; copy it again",
            )
        return offset

    def _packed_place(self, entry: int) -> tuple[int, int]:
        """First byte and bytes of a compressed cluster, of which the last sector may be cut off by the file's end."""
        offset = entry & (1 << self._place_bits) - 1
        sectors = (entry & PACKED - 1) >> self._place_bits
        length = (sectors + 1) * SECTOR - offset % SECTOR
        if offset >= self._source.size:
            raise self.outside(entry)
        return offset, min(length, self._source.size - offset)

    def outside(self, number: int) -> BadImage:
        return BadImage(
            f"a cluster of {self._source.name} lies outside the file (table entry {number:#x})",
            hint="the file is truncated; copy it again",
        )

    def parts_with_holes(self, start: int, length: int) -> Iterator[Part]:
        """Clusters that were set aside and never written are holes of the file, and zeros."""
        for part in self.parts(start, length):
            if part.kind != DATA or part.at >= _INFLATED:
                yield part
                continue
            inside = max(0, min(part.length, self._source.size - part.at))
            yield from part_with_holes(self._source, part._replace(length=inside))
            if inside < part.length:
                yield Part(part.start + inside, part.length - inside, DATA, part.at + inside)

    def read_part(self, part: Part, view: memoryview) -> None:
        if part.at >= _INFLATED:
            self._inflate(part.start, view)
        else:
            self._source.read_into(part.at, view)

    def _inflate(self, start: int, view: memoryview) -> None:
        first, last = start // self._cluster, (start + len(view) - 1) // self._cluster
        for number, data in zip(range(first, last + 1), self._clusters(first, last), strict=True):
            at = number * self._cluster - start
            begin, end = max(0, -at), min(self._cluster, len(view) - at)
            whole = end - begin == self._cluster
            view[at + begin : at + end] = data if whole else memoryview(data)[begin:end]
            if not whole:
                self._keep(number, data)

    def _keep(self, number: int, data: bytes | bytearray) -> None:
        """Who reads a part of a cluster comes back for the rest."""
        self._kept[number] = data
        self._kept.move_to_end(number)
        while len(self._kept) * self._cluster > _KEPT_BYTES:
            self._kept.popitem(last=False)

    def _clusters(self, first: int, last: int) -> Iterator[bytes | bytearray]:
        """Inflated by the process's threads, unless there is one cluster only."""
        name, size = self._source.name, self._cluster
        if first == last:
            found = self._kept.get(first)
            yield (
                found if found is not None else _raised(inflated(deflate_cluster, self._stored([first]), size, name))[0]
            )
            return
        step = max(1, _BATCH_BYTES // size)
        batches = [range(at, min(at + step, last + 1)) for at in range(first, last + 1, step)]
        waiting = [WORKERS.submit(deflate_cluster, self._stored(batch), size, name) for batch in batches]
        for one in waiting:
            yield from _raised(one.result())

    def _stored(self, numbers: Sequence[int]) -> list[Stored]:
        """Clusters as they lie in the file, read in one go where they lie close together."""
        places = [self._packed_place(entry) for entry in self.entries_at(numbers)]
        begin, end = min(at for at, _ in places), max(at + length for at, length in places)
        if end - begin <= 2 * sum(length for _, length in places):
            raw = self._read(begin, end - begin)
            streams = [raw[at - begin : at - begin + length] for at, length in places]
        else:
            streams = [self._read(at, length) for at, length in places]
        return [Stored(number, self._cluster, stream) for number, stream in zip(numbers, streams, strict=True)]

    def _read(self, offset: int, length: int) -> memoryview:
        raw = bytearray(length)
        self._source.read_into(offset, raw)
        return memoryview(raw)

    def clone(self) -> "Qcow2Layer":
        return Qcow2Layer(self._source.clone(), self._header)


def _raised(results: Inflated) -> list[bytes | bytearray]:
    for one in results:
        if isinstance(one, BadImage):
            raise BadImage(one.message, hint=one.hint)
    return [one for one in results if not isinstance(one, BadImage)]


def open_qcow2(listing: Listing, name: str) -> ChainReader | None:
    """A DiskReader over the QCOW2 `name` of `listing`, or None where only qemu-nbd reads such an image.

    BadImage for damage, UnsafeImage for references to other files, Unsupported for features. The caller closes it.
    """
    with ExitStack() as stack:
        source = listing.open(name)
        stack.callback(source.close)
        header = checked_header(source)
        if header.extended or header.compression:
            return None
        stack.pop_all()
        return ChainReader([Qcow2Layer(source, header)])
