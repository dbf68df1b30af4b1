# SPDX-License-Identifier: Apache-2.0
"""Where the numbers of a disk image stand, and how its checksums are made right again after one was changed.

Found by the image's own headers as far as they can be followed, without the readers' code.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.fuzz.sparse import SparseFile
from tests.hyperv_images import summed
from v2x.disks.crc32c import crc32c

Field = tuple[int, int]
MIB = 1 << 20
_SECTOR = 512
_FEW = 12


@dataclass(frozen=True, slots=True)
class Shape:
    """`fields` are (offset, bytes) of numbers; `order` their byte order; `resealed` makes checksums right."""

    fields: Callable[[SparseFile], Iterator[Field]]
    resealed: Callable[[SparseFile], SparseFile]
    order: str = "<"


def number(file: SparseFile, at: int, width: int, order: str = "<") -> int:
    return int.from_bytes(file.read(at, width), "little" if order == "<" else "big") if at < 1 << 62 else 0


def _row(at: int, *widths: int) -> Iterator[Field]:
    for width in widths:
        yield at, width
        at += width


def _vmdk_fields(file: SparseFile) -> Iterator[Field]:
    match file.read(0, 4):
        case b"KDMV":
            yield from _hosted_fields(file)
        case b"COWD":
            yield from _row(4, *[4] * 7)
            directory = number(file, 20, 4) * _SECTOR
            yield from _row(directory, *[4] * 4)
            yield from _row(number(file, directory, 4) * _SECTOR, *[4] * _FEW)
        case b"\xbe\xba\xfe\xca":
            yield from _row(0, *[8] * 26)
            yield from _row(number(file, 80, 8) * _SECTOR, *[8] * 4)
            yield from _row(number(file, 128, 8) * _SECTOR, *[8] * 2)
            yield from _row(number(file, 144, 8) * _SECTOR, *[8] * _FEW)


def _hosted_fields(file: SparseFile) -> Iterator[Field]:
    header = (4, 4, 8, 8, 8, 8, 4, 8, 8, 8, 1, 1, 1, 1, 1, 2)
    yield from _row(4, *header)
    directory = number(file, 56, 8)
    if directory == (1 << 64) - 1:
        footer = max(0, file.size - 2 * _SECTOR)
        yield from _row(footer - _SECTOR, 8, 4, 4)
        yield from _row(footer + 4, *header)
        yield from _row(footer + _SECTOR, 8, 4, 4)
        directory = number(file, footer + 56, 8)
        yield from _row(directory * _SECTOR - _SECTOR, 8, 4, 4)
    yield from _row(directory * _SECTOR, *[4] * 3)
    table = number(file, directory * _SECTOR, 4) * _SECTOR
    yield from _row(table - _SECTOR, 8, 4, 4)
    for at, width in _row(table, *[4] * _FEW):
        yield at, width
        grain = number(file, at, 4) * _SECTOR
        if number(file, 77, 2) and grain:
            yield from _row(grain, 8, 4, 1, 1, 4)


def _vhd_fields(file: SparseFile) -> Iterator[Field]:
    end = max(0, file.size - _SECTOR)
    yield from _row(end, 8, 4, 4, 8, 4, 4, 4, 4, 8, 8, 4, 4, 4, 8, 8)
    at = number(file, end + 16, 8, ">")
    yield from _row(at, 8, 8, 8, 4, 4, 4, 4, 8, 8, 4, 4, 8, 8)
    table, block = number(file, at + 16, 8, ">"), number(file, at + 32, 4, ">")
    for entry, width in _row(table, *[4] * _FEW):
        yield entry, width
        place = number(file, entry, width, ">") * _SECTOR
        if place and place < file.size:
            yield from _row(place, 1, 4, 8)
            yield place + block // _SECTOR // 8 - 1, 1


def _vhd_resealed(file: SparseFile) -> SparseFile:
    if file.size < _SECTOR:
        return file
    footer = summed(file.read(file.size - _SECTOR, _SECTOR), 64)
    file = file.changed(file.size - _SECTOR, footer)
    if number(file, file.size - _SECTOR + 60, 4, ">") != 2:
        file = file.changed(0, footer)
    at = number(file, file.size - _SECTOR + 16, 8, ">")
    if file.read(at, 8) == b"cxsparse" and at < file.size:
        file = file.changed(at, summed(file.read(at, 1024), 36))
    return file


_REGIONS = (192 << 10, 256 << 10)
_HEADERS = (64 << 10, 128 << 10)


def vhdx_places(file: SparseFile) -> dict[bytes, int]:
    """The offsets of block table and metadata, by the first two bytes of their identifiers."""
    rows = [file.read(_REGIONS[0] + 16 + 32 * place, 24) for place in range(3)]
    return {row[:2]: int.from_bytes(row[16:24], "little") for row in rows}


def _vhdx_fields(file: SparseFile) -> Iterator[Field]:
    for at in _HEADERS:
        yield from _row(at + 8, 8, 8, 8, 8, 8, 8, 8, 2, 2, 4, 8)
    for at in _REGIONS:
        yield at + 8, 4
        for place in range(2):
            yield from _row(at + 16 + 32 * place, 8, 8, 8, 4, 4)
    places = vhdx_places(file)
    metadata = places.get(b"\x06\xa2", 2 * MIB)
    yield metadata + 10, 2
    for place in range(6):
        yield from _row(metadata + 32 + 32 * place + 16, 4, 4, 4)
    yield from _row(metadata + (64 << 10), 4, 4, 8, 8, 8, 4, 4, 4, 4, 8, 8, 2, 2, 4, 4, 2, 2, 4, 4, 2, 2)
    for entry, width in _row(places.get(b"\x66\x77", 3 * MIB), *[8] * _FEW):
        yield entry, width
        found = number(file, entry, width)
        if found & 7 == 6 and found >> 20 << 20 < file.size:
            yield from _row(found >> 20 << 20, 1, 8)
    for at in _log_entries(file):
        yield from _row(at, 4, 4, 4, 4, 8, 4, 4, 8, 8, 8, 8)
        for place in range(3):
            yield from _row(at + 64 + 32 * place, 4, 4, 8, 8, 8)


def _log_entries(file: SparseFile) -> Iterator[int]:
    begin, length = number(file, _HEADERS[1] + 72, 8), number(file, _HEADERS[1] + 68, 4)
    for at in range(begin, min(begin + length, begin + (64 << 10), file.size), 4096):
        if file.read(at, 4) == b"loge":
            yield at


def _crc32c(structure: bytes) -> int:
    return crc32c(structure[:4] + bytes(4) + structure[8:])


def _vhdx_resealed(file: SparseFile) -> SparseFile:
    for at in _HEADERS:
        file = file.changed(at + 4, struct.pack("<I", _crc32c(file.read(at, 4096))))
    tables = [file.read(at, 64 << 10) for at in _REGIONS]
    for place, at in enumerate(_REGIONS):
        file = file.changed(at + 4, struct.pack("<I", _crc32c(tables[place])))
    for at in _log_entries(file):
        length = number(file, at + 8, 4)
        if 64 <= length <= 64 << 10 and at + length <= file.size:
            file = file.changed(at + 4, struct.pack("<I", _crc32c(file.read(at, length))))
    return file


def _qcow2_fields(file: SparseFile) -> Iterator[Field]:
    yield from _row(4, 4, 8, 4, 4, 8, 4, 4, 8, 8, 4, 4, 8, 8, 8, 8, 4, 4, 1)
    yield from _row(number(file, 100, 4, ">"), 4, 4, 8, 4, 4, 8)
    level1 = number(file, 40, 8, ">")
    yield from _row(level1, 8, 8)
    level2 = number(file, level1, 8, ">") & 0x00FFFFFFFFFFFE00
    yield from _row(level2, *[8] * _FEW)
    yield from _row(number(file, 48, 8, ">"), 8)
    yield from _row(number(file, 64, 8, ">"), 8, 4, 2, 2, 4, 4, 4, 4)


def _vmcx_fields(file: SparseFile) -> Iterator[Field]:
    for at in (0, 0x1000):
        yield from _row(at, 4, 4, 2, 4, 8, 4, 8, 8, 4)
    yield from _row(0x2000, 2, 2, 4)
    for place in range(4):
        yield from _row(0x2008 + 18 * place, 1, 4, 8, 4, 1)
    yield from _row(number(file, 0x1000 + 26, 8), 4, 4, 8, 8)
    for at in _vmcx_tables(file):
        yield from _row(at, 2, 2, 2, 4)
        for entry, length in _vmcx_entries(file, at):
            yield from _row(entry, 1, 1, 4, 2, 4, 4, 4, 1)
            yield entry + 21 + number(file, entry + 20, 1), 4
            yield entry + length // 2, 1


def _vmcx_tables(file: SparseFile) -> Iterator[int]:
    for place in range(8):
        row = 0x2008 + 18 * place
        at = number(file, row + 5, 8)
        if number(file, row, 1) == 2 and 0x2000 < at < file.size:
            yield at


def _vmcx_entries(file: SparseFile, table: int) -> Iterator[tuple[int, int]]:
    at = table + 10
    for _ in range(400):
        length = number(file, at + 2, 4)
        if length < 21 or at + length > file.size:
            return
        yield at, length
        at += length


def _zip_crc(raw: bytes, at: int) -> bytes:
    return struct.pack("<I", zlib.crc32(raw[:at] + bytes(4) + raw[at + 4 :]))


def _vmcx_resealed(file: SparseFile) -> SparseFile:
    if file.size > MIB:
        return file
    for at, length, place in ((0, 46, 4), (0x1000, 46, 4), (number(file, 0x1000 + 26, 8), 34, 4)):
        if at + length <= file.size:
            file = file.changed(at + place, _zip_crc(file.read(at, length), place))
    for row in range(0x2008, 0x2008 + 18 * 8, 18):
        if any(file.read(row, 18)):
            file = file.changed(row + 1, _zip_crc(file.read(row, 18), 1))
    changes: list[tuple[int, bytes]] = []
    for at in _vmcx_tables(file):
        changes.append((at + 6, _zip_crc(file.read(at, 10), 6)))
        for entry, length in _vmcx_entries(file, at):
            kind, name = number(file, entry, 1), number(file, entry + 20, 1)
            body = entry + 21 + name
            value = 4 + number(file, body, 4) if kind in {6, 7} else {8: 4, 9: 12}.get(kind, 8)
            if kind != 1 and 21 + name + value <= length:
                changes.append((entry + 12, _zip_crc(file.read(entry, 21 + name + value), 12)))
    whole = bytearray(file.read(0, file.size))
    for at, raw in changes:
        whole[at : at + 4] = raw
    return SparseFile.of(bytes(whole[: file.size]))


def _as_is(file: SparseFile) -> SparseFile:
    return file


VMDK = Shape(_vmdk_fields, _as_is)
VHD = Shape(_vhd_fields, _vhd_resealed, ">")
VHDX = Shape(_vhdx_fields, _vhdx_resealed)
QCOW2 = Shape(_qcow2_fields, _as_is, ">")
VMCX = Shape(_vmcx_fields, _vmcx_resealed)
RAW = Shape(lambda file: iter([(0, 4), (max(0, file.size - 512), 8)]), _as_is)
