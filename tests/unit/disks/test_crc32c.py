# SPDX-License-Identifier: Apache-2.0
"""CRC-32C against the check values of RFC 3720 (B.4)."""

import random

import pytest

from v2x.disks.crc32c import crc32c


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"", 0),
    ],
)
def test_check_values(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


def by_bits(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


@pytest.mark.parametrize("length", [63, 64, 1023, 1024, 1025, 4096, 9999])
def test_every_length_gives_what_the_definition_gives(length: int) -> None:
    data = random.Random(length).randbytes(length)
    assert crc32c(data) == crc32c(bytearray(data)) == crc32c(memoryview(data)) == by_bits(data)
