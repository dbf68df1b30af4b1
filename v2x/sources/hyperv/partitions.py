# SPDX-License-Identifier: Apache-2.0
"""Which firmware a disk was set up for, told from its partition table: for disks that come without a machine."""

import struct
from typing import Final
from zlib import crc32

from v2x.disks.interface import DiskReader
from v2x.model.machine import Firmware

_SECTOR: Final = 512
_PROTECTIVE: Final = 0xEE
_SYSTEM_PARTITION: Final = bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b")
_MOST_TABLE_BYTES: Final = 1 << 17


def firmware_of(reader: DiskReader) -> Firmware | None:
    """UEFI for a GPT with an EFI system partition, BIOS for a table of the old kind that can boot, else None."""
    if reader.size < 3 * _SECTOR:
        return None
    start = bytearray(2 * _SECTOR)
    reader.read_into(0, start)
    if start[510:512] != b"\x55\xaa":
        return None
    kinds = [start[446 + 16 * number + 4] for number in range(4)]
    if _PROTECTIVE in kinds:
        return Firmware.UEFI if _has_system_partition(reader, bytes(start[_SECTOR:])) else None
    return Firmware.BIOS if any(kinds) and any(start[:440]) else None


def _has_system_partition(reader: DiskReader, header: bytes) -> bool:
    if header[:8] != b"EFI PART":
        return False
    length, found = struct.unpack_from("<II", header, 12)
    if not 92 <= length <= _SECTOR or found != crc32(header[:16] + bytes(4) + header[20:length]):
        return False
    first, count, size = struct.unpack_from("<QII", header, 72)
    if size < 128 or size % 8 or count * size > _MOST_TABLE_BYTES or first * _SECTOR + count * size > reader.size:
        return False
    table = bytearray(count * size)
    reader.read_into(first * _SECTOR, table)
    return any(table[at : at + 16] == _SYSTEM_PARTITION for at in range(0, len(table), size))
