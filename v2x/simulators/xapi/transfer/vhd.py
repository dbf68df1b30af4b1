# SPDX-License-Identifier: Apache-2.0
"""The VHD stream reader of the import helper: strictly forward, with the checks of xapi in stream order.

Facts: xapi, vhd-tool impl.ml, vhd_format f.ml.
"""

import struct
from array import array
from sys import byteorder

from v2x.simulators.xapi.failure import StreamBroken
from v2x.simulators.xapi.transfer.body import Body, Progress, Write

_SECTOR = 512
_UNUSED = 0xFFFFFFFF
_ENTRIES_LIMIT = 16 * 1024 * 1024
_BLOCK_LIMIT = 64 * 1024 * 1024
_PLATFORMS = frozenset({b"\0\0\0\0", b"Wi2r", b"Wi2k", b"W2ru", b"W2ku", b"Mac ", b"MacX"})


def _sum_is_right(raw: bytes, at: int) -> bool:
    """Ones' complement of the byte sum, the checksum field taken as zero."""
    total = sum(raw) - sum(raw[at : at + 4])
    return int.from_bytes(raw[at : at + 4], "big") == ~total & 0xFFFFFFFF


def check_footer(raw: bytes) -> int:
    """The header offset a footer names; StreamBroken when it is no footer."""
    if raw[:8] != b"conectix":
        raise StreamBroken("footer: bad cookie")
    version, offset = struct.unpack_from(">IQ", raw, 12)
    if version != 0x00010000:
        raise StreamBroken("footer: bad file format version")
    if struct.unpack_from(">I", raw, 60)[0] not in (2, 3, 4):
        raise StreamBroken("footer: bad disk type")
    if not _sum_is_right(raw, 64):
        raise StreamBroken("footer: bad checksum")
    return int(offset)


def _check_header(raw: bytes) -> tuple[int, int, int]:
    """(table offset, entries, block size) of the dynamic header."""
    if raw[:8] != b"cxsparse":
        raise StreamBroken("header: bad cookie")
    data_offset, table_offset, version, entries, block_size = struct.unpack_from(">QQIII", raw, 8)
    if data_offset != 0xFFFFFFFFFFFFFFFF:
        raise StreamBroken("header: bad data offset")
    if version != 0x00010000:
        raise StreamBroken("header: bad version")
    if not 0 < entries <= _ENTRIES_LIMIT:
        raise StreamBroken("header: max_table_entries is not sane")
    if block_size & (block_size - 1) or not 8 * _SECTOR <= block_size <= _BLOCK_LIMIT:
        raise StreamBroken("header: block size is no power of two")
    if not _sum_is_right(raw, 36):
        raise StreamBroken("header: bad checksum")
    for n in range(8):
        if raw[576 + 24 * n : 580 + 24 * n] not in _PLATFORMS:
            raise StreamBroken("header: unknown platform code of a parent locator")
    try:
        raw[64:576].decode("utf-16-be")
    except UnicodeDecodeError:
        raise StreamBroken("header: parent name is no UTF-16") from None
    return table_offset, entries, block_size


def _ahead(body: Body, position: int, what: str) -> None:
    if position < body.position:
        raise StreamBroken(f"{what} at {position} is not ahead of {body.position}")
    body.skip_to(position)


def _allocated(body: Body, entries: int) -> list[tuple[int, int]]:
    """(file position, block) of the blocks that are there, by position."""
    padded = -(-entries * 4 // _SECTOR) * _SECTOR
    table = array("I", body.read(padded)[: entries * 4])
    if byteorder == "little":
        table.byteswap()
    found = [(sector * _SECTOR, block) for block, sector in enumerate(table) if sector != _UNUSED]
    return sorted(found)


def runs_of(bitmap: bytes, sectors: int) -> list[tuple[int, int]]:
    """(first sector, count) of the runs of 1-bits, most significant bit first."""
    bits = bin(int.from_bytes(b"\x01" + bitmap, "big"))[3 : 3 + sectors]
    runs, at = [], bits.find("1")
    while at >= 0:
        end = bits.find("0", at)
        end = len(bits) if end < 0 else end
        runs.append((at, end - at))
        at = bits.find("1", end)
    return runs


def receive(body: Body, write: Write, device_size: int, progress: Progress) -> None:
    """Writes the blocks of a dynamic or differencing VHD; StreamBroken on anything out of order.

    Without Content-Length the size of the device stands for it, which ends in failure as on the real server.
    """
    data_offset = check_footer(body.read(_SECTOR))
    _ahead(body, data_offset, "header")
    table_offset, entries, block_size = _check_header(body.read(1024))
    _ahead(body, table_offset, "BAT")
    blocks = _allocated(body, entries)
    full = b"\xff" * (block_size // _SECTOR // 8)
    view = memoryview(bytearray(block_size))
    for done, (position, block) in enumerate(blocks):
        _ahead(body, position, f"block {block}")
        bitmap = body.read(len(full))
        body.read_into(view)
        start = block * block_size
        if bitmap == full:
            write(view, start)
        else:
            for first, count in runs_of(bitmap, block_size // _SECTOR):
                at = first * _SECTOR
                write(view[at : at + count * _SECTOR], start + at)
        progress((done + 1) / len(blocks))
    end = body.length if body.length is not None else device_size
    _ahead(body, max(end - 1, 0) // _SECTOR * _SECTOR, "footer")
    check_footer(body.read(_SECTOR))
