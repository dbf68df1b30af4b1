# SPDX-License-Identifier: Apache-2.0
"""Changed block tracking: which 64 KiB blocks of a VDI were written since its last snapshot (xapi.md 2.10)."""

import base64
import zlib
from typing import Any, Self

GRAIN_BYTES = 64 * 1024


def _bitmap_bytes(size: int) -> int:
    return -(-size // (8 * GRAIN_BYTES))


class ChangeLog:
    """`bits` has one bit per 64 KiB, most significant first; `since` is the uuid of the snapshot it counts from.

    An empty `since` means that tracking began without one.
    """

    def __init__(self, size: int, since: str = "") -> None:
        self.bits = bytearray(_bitmap_bytes(size))
        self.since = since

    def mark(self, offset: int, length: int) -> None:
        for block in range(offset // GRAIN_BYTES, -(-(offset + length) // GRAIN_BYTES)):
            self.bits[block >> 3] |= 0x80 >> (block & 7)

    def resize(self, size: int) -> None:
        """What is new counts as changed only once it is written."""
        self.bits = self.bits[: _bitmap_bytes(size)].ljust(_bitmap_bytes(size), b"\0")

    def absorb(self, earlier: "ChangeLog") -> None:
        """The snapshot this one counted from goes, and what changed before it counts from here on."""
        self.bits = bytearray(either(bytes(self.bits), bytes(earlier.bits)))
        self.since = earlier.since

    def to_json(self) -> dict[str, Any]:
        return {"since": self.since, "bits": base64.b64encode(zlib.compress(bytes(self.bits), 1)).decode()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        made = cls(0, saved["since"])
        made.bits = bytearray(zlib.decompress(base64.b64decode(saved["bits"])))
        return made


def either(one: bytes, other: bytes) -> bytes:
    """The bits that are in one of two bitmaps, which is as long as the longer."""
    length = max(len(one), len(other))
    joined = int.from_bytes(one.ljust(length, b"\0"), "big") | int.from_bytes(other.ljust(length, b"\0"), "big")
    return joined.to_bytes(length, "big")
