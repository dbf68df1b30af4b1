# SPDX-License-Identifier: Apache-2.0
"""The gate for QCOW2, by the format's published specification (docs/interop/qcow2 of qemu). All fields big-endian."""

import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from v2x.disks.chain import MAX_DISK_BYTES
from v2x.disks.extent import Extent
from v2x.disks.interface import ByteSource
from v2x.disks.probe import ImageFacts
from v2x.disks.probe.fields import field_bytes, require_inside
from v2x.errors import BadImage, UnsafeImage, Unsupported
from v2x.model.machine import DiskFormat
from v2x.model.units import SECTOR, round_up

MAGIC: Final = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_VERSION3 = struct.Struct(">QQQII")
_SNAPSHOT = struct.Struct(">QIHHIIQII")

_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION, _EXTENDED_L2 = 1, 2, 4, 8, 16
_EXT_END: Final = 0
_EXT_BACKING_FORMAT: Final = 0xE2792ACA
_EXT_DATA_FILE: Final = 0x44415441
_EXT_ENCRYPTION: Final = 0x0537BE77
OFFSET: Final = 0x00FFFFFFFFFFFE00
PACKED: Final = 1 << 62
READS_ZERO: Final = 1
_PAGE_BYTES: Final = 1 << 16
_MAX_L1_BYTES: Final = 32 << 20
_MAX_REFCOUNT_TABLE_BYTES: Final = 8 << 20
_MAX_SNAPSHOTS: Final = 65536
_MAX_SNAPSHOT_TABLE_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Header:
    """Offsets and sizes in bytes, but for `cluster_bits`; `size` is the disk's."""

    version: int
    backing_offset: int
    backing_bytes: int
    cluster_bits: int
    size: int
    encryption: int
    l1_entries: int
    l1_offset: int
    refcount_offset: int
    refcount_clusters: int
    snapshots: int
    snapshots_offset: int
    incompatible: int
    header_bytes: int
    compression: int

    @property
    def cluster_bytes(self) -> int:
        return 1 << self.cluster_bits

    @property
    def extended(self) -> bool:
        """Whether its tables tell 32 parts of each cluster."""
        return bool(self.incompatible & _EXTENDED_L2)


def check_qcow2(source: ByteSource, *, backing: bytes | None = None) -> ImageFacts:
    """`backing` is the one backing string that is allowed, and then must be there with the format raw."""
    header = checked_header(source, backing=backing)
    _check_clusters(header, source)
    return ImageFacts(format=DiskFormat.QCOW2, size_bytes=header.size, variant=f"version {header.version}")


def checked_header(source: ByteSource, *, backing: bytes | None = None) -> Header:
    """All of `check_qcow2` but a look at every table: for a reader that checks each entry that it follows."""
    header = _read(source)
    _check_features(header, source)
    _check_sizes(header, source)
    backing_format = _check_extensions(header, source)
    _check_backing(header, source, backing, backing_format)
    _check_snapshots(header, source)
    return header


def written_areas(source: ByteSource) -> Iterator[Extent]:
    """What an overlay itself holds, zeros that were written to it included; ascending.

    The image was checked before, so that its tables lie within the file.
    """
    header = _read(source)
    if header.extended:
        raise Unsupported(f"{source.name} has extended tables, which an overlay of v2x has not")
    cluster, per_table = header.cluster_bytes, header.cluster_bytes // 8
    tables = _entries(source, header.l1_offset, header.l1_entries * 8, "the level-1 table")
    for number, table in enumerate(entry & OFFSET for entry in tables):
        if not table:
            continue
        for index, entry in enumerate(_entries(source, table, cluster, "a level-2 table")):
            start = (number * per_table + index) * cluster
            if entry and start < header.size:
                yield Extent(start, min(cluster, header.size - start), True)


def _read(source: ByteSource) -> Header:
    raw = field_bytes(source, 0, _HEADER.size, "the header")
    magic, version, *fields = _HEADER.unpack(raw)
    if magic != MAGIC:
        raise BadImage(f"{source.name} is no QCOW2 image", hint="say the right format; it is never guessed")
    if version not in {2, 3}:
        raise Unsupported(f"{source.name} is a QCOW2 image of the unknown version {version}")
    incompatible, header_bytes, compression = 0, _HEADER.size, 0
    if version == 3:
        incompatible, _, _, refcount_order, header_bytes = _VERSION3.unpack(
            field_bytes(source, _HEADER.size, _VERSION3.size, "the header")
        )
        if refcount_order > 6:
            raise BadImage(f"{source.name} has reference counts of 2^{refcount_order} bits; 64 is the most")
        if header_bytes < _HEADER.size + _VERSION3.size or header_bytes % 8:
            raise BadImage(f"{source.name} has an impossible header length of {header_bytes:,} bytes")
        if header_bytes > 104:
            compression = field_bytes(source, 104, 1, "the header")[0]
    return Header(*(version, *fields, incompatible, header_bytes, compression))


def _check_features(header: Header, source: ByteSource) -> None:
    name = source.name
    if header.incompatible & _DATA_FILE:
        raise UnsafeImage(
            f"{name} keeps its data in another file", hint="convert it to one self-contained image where it was made"
        )
    if header.incompatible & _CORRUPT:
        raise BadImage(f"{name} is marked as corrupt", hint="repair it with qemu-img check where it was made")
    unknown = header.incompatible & ~(_DIRTY | _COMPRESSION | _EXTENDED_L2)
    if unknown:
        raise Unsupported(f"{name} uses unknown QCOW2 features (bits {unknown:#x})")
    if header.encryption:
        raise Unsupported(f"{name} is encrypted", hint="decrypt it where it was made")
    if header.compression > 1 or bool(header.compression) != bool(header.incompatible & _COMPRESSION):
        raise Unsupported(f"{name} uses the unknown compression {header.compression}")


def _check_sizes(header: Header, source: ByteSource) -> None:
    name = source.name
    if not 9 <= header.cluster_bits <= 21:
        raise BadImage(f"{name} has clusters of 2^{header.cluster_bits} bytes; 512 to 2 MiB are possible")
    if header.extended and header.cluster_bits < 14:
        raise BadImage(f"{name} has clusters too small for its extended tables")
    if header.size > MAX_DISK_BYTES:
        raise BadImage(f"{name} claims {header.size:,} bytes; at most 64 TiB are possible")
    if header.size % SECTOR:
        # QEMU shows whole sectors only, and would leave out the rest.
        raise Unsupported(
            f"{name} is a disk of {header.size:,} bytes, which are no whole sectors",
            hint=f"qemu-img resize -f qcow2 {name} {round_up(header.size, SECTOR)} makes them whole",
        )
    if header.header_bytes > header.cluster_bytes:
        raise BadImage(f"{name} has a header of {header.header_bytes:,} bytes, longer than a cluster")
    entry_bytes = 16 if header.extended else 8
    per_l1_entry = header.cluster_bytes * (header.cluster_bytes // entry_bytes)
    if header.l1_entries * 8 > _MAX_L1_BYTES or header.l1_entries < -(-header.size // per_l1_entry):
        raise BadImage(f"{name} has a level-1 table of {header.l1_entries:,} entries, which cannot be for its size")
    _check_table(header, source, header.l1_offset, header.l1_entries * 8, "the level-1 table")
    refcount_bytes = header.refcount_clusters * header.cluster_bytes
    if not 0 < refcount_bytes <= _MAX_REFCOUNT_TABLE_BYTES:
        raise BadImage(f"{name} has a reference count table of {refcount_bytes:,} bytes")
    _check_table(header, source, header.refcount_offset, refcount_bytes, "the reference count table")


def _check_table(header: Header, source: ByteSource, offset: int, length: int, what: str) -> None:
    if length == 0:
        return
    if offset < header.cluster_bytes or offset % header.cluster_bytes:
        raise BadImage(f"{what} of {source.name} starts at byte {offset:,}, which is no cluster of its own")
    require_inside(source, offset, length, what)


def _check_extensions(header: Header, source: ByteSource) -> bytes:
    """The backing format that the extensions name; every extension lies before the end of the first cluster."""
    limit = header.cluster_bytes
    if header.backing_offset:
        limit = min(limit, header.backing_offset)
    raw = field_bytes(source, 0, min(limit, source.size), "the header")
    at, backing_format = header.header_bytes, b""
    while at + 8 <= len(raw):
        kind, length = struct.unpack_from(">II", raw, at)
        if kind == _EXT_END:
            break
        if length > len(raw) - at - 8:
            raise BadImage(f"a header extension of {source.name} reaches beyond the header")
        if kind == _EXT_DATA_FILE:
            raise UnsafeImage(
                f"{source.name} names an external data file", hint="convert it to one self-contained image"
            )
        if kind == _EXT_ENCRYPTION:
            raise Unsupported(f"{source.name} is encrypted", hint="decrypt it where it was made")
        if kind == _EXT_BACKING_FORMAT:
            backing_format = raw[at + 8 : at + 8 + length]
        at += 8 + -(-length // 8) * 8
    return backing_format


def _check_backing(header: Header, source: ByteSource, allowed: bytes | None, backing_format: bytes) -> None:
    if allowed is None:
        if header.backing_offset or header.backing_bytes:
            raise UnsafeImage(
                f"{source.name} is a delta on another image (backing file)",
                hint="convert it to one self-contained image where its backing file is",
            )
        return
    if not 0 < header.backing_bytes <= 1023 or header.backing_offset + header.backing_bytes > header.cluster_bytes:
        raise UnsafeImage(f"{source.name} does not name the export it was made on")
    found = field_bytes(source, header.backing_offset, header.backing_bytes, "the backing name")
    if found != allowed or backing_format != b"raw":
        raise UnsafeImage(f"{source.name} names a backing file other than the export it was made on")


def _check_clusters(header: Header, source: ByteSource) -> None:
    """Every table and cluster in use begins within the file: a tool reads what a truncated file lacks as zeros."""
    seen: set[int] = set()
    for at in range(0, header.l1_entries * 8, _PAGE_BYTES):
        length = min(_PAGE_BYTES, header.l1_entries * 8 - at)
        for entry in _entries(source, header.l1_offset + at, length, "the level-1 table"):
            offset = entry & OFFSET
            if offset and offset not in seen:
                seen.add(offset)
                _check_table(header, source, offset, header.cluster_bytes, "a level-2 table")
                _check_level2(header, source, offset)


def _check_level2(header: Header, source: ByteSource, offset: int) -> None:
    entries = _entries(source, offset, header.cluster_bytes, "a level-2 table")
    if header.extended:
        entries = entries[::2]
    if entries.count(0) == len(entries):
        return
    packed = (1 << 62 - (header.cluster_bits - 8)) - 1
    last = max(entry & packed if entry & PACKED else 0 if entry & READS_ZERO else entry & OFFSET for entry in entries)
    if last >= source.size:
        raise BadImage(f"a cluster of {source.name} lies outside the file", hint="the file is truncated; copy it again")


def _entries(source: ByteSource, offset: int, length: int, what: str) -> "array[int]":
    entries = array("Q", field_bytes(source, offset, length, what))
    if sys.byteorder == "little":
        entries.byteswap()
    return entries


def _check_snapshots(header: Header, source: ByteSource) -> None:
    if header.snapshots == 0:
        return
    if header.snapshots > _MAX_SNAPSHOTS:
        raise BadImage(f"{source.name} claims {header.snapshots:,} snapshots; at most {_MAX_SNAPSHOTS:,} are possible")
    if header.snapshots_offset < header.cluster_bytes or header.snapshots_offset % header.cluster_bytes:
        raise BadImage(f"the snapshot table of {source.name} is no cluster of its own")
    at = header.snapshots_offset
    for _ in range(header.snapshots):
        raw = field_bytes(source, at, _SNAPSHOT.size, "the snapshot table")
        l1_offset, l1_entries, id_bytes, name_bytes, *_, extra_bytes = _SNAPSHOT.unpack(raw)
        if l1_entries * 8 > _MAX_L1_BYTES or extra_bytes > 1024:
            raise BadImage(f"a snapshot of {source.name} has impossible sizes")
        _check_table(header, source, l1_offset, l1_entries * 8, "a snapshot's level-1 table")
        length = _SNAPSHOT.size + extra_bytes + id_bytes + name_bytes
        require_inside(source, at, length, "the snapshot table")
        at += -(-length // 8) * 8
        if at - header.snapshots_offset > _MAX_SNAPSHOT_TABLE_BYTES:
            raise BadImage(f"the snapshot table of {source.name} is larger than 16 MiB")
