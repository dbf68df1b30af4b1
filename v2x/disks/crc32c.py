# SPDX-License-Identifier: Apache-2.0
"""CRC-32C (Castagnoli), which VHDX puts over its headers, tables and log."""

from typing import Final

_POLYNOMIAL: Final = 0x82F63B78


def _table() -> tuple[int, ...]:
    entries = []
    for value in range(256):
        remainder = value
        for _ in range(8):
            remainder = remainder >> 1 ^ (_POLYNOMIAL if remainder & 1 else 0)
        entries.append(remainder)
    return tuple(entries)


_TABLE: Final = _table()


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """The checksum of `data`; meant for headers of some KiB, not for disks."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF
