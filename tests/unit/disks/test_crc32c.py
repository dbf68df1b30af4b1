# SPDX-License-Identifier: Apache-2.0
"""CRC-32C against the check values of RFC 3720 (B.4)."""

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
