# SPDX-License-Identifier: Apache-2.0
"""Tar members as xapi reads and writes them: plain ustar headers, read strictly forward."""

from dataclasses import dataclass

from v2x.simulators.xapi.failure import StreamBroken

BLOCK = 512
END = bytes(2 * BLOCK)
_NAME_BYTES = 100


@dataclass(frozen=True, slots=True)
class Header:
    name: str
    size: int

    @property
    def padding(self) -> int:
        return -self.size % BLOCK


def _number(raw: bytes) -> int:
    if raw[:1] == b"\x80":
        return int.from_bytes(raw[1:], "big")
    text = raw.strip(b" \0")
    try:
        return int(text, 8) if text else 0
    except ValueError:
        raise StreamBroken("tar header: a number that is not octal") from None


def parse_header(raw: bytes) -> Header | None:
    """The header in 512 bytes; None for a block of zeros, which ends the archive."""
    if not any(raw):
        return None
    total = sum(raw) - sum(raw[148:156]) + 8 * 32
    if _number(raw[148:156]) != total:
        raise StreamBroken("tar header: bad checksum")
    if raw[156:157] not in (b"0", b"\0"):
        raise StreamBroken(f"tar header: type {raw[156:157]!r} is no plain file")
    name = raw[:_NAME_BYTES].split(b"\0")[0]
    prefix = raw[345:500].split(b"\0")[0] if raw[257:262] == b"ustar" else b""
    size = _number(raw[124:136])
    if size < 0:
        raise StreamBroken("tar header: negative size")
    try:
        text = (prefix + b"/" + name if prefix else name).decode("utf-8")
    except UnicodeDecodeError:
        raise StreamBroken("tar header: name is no UTF-8") from None
    return Header(text, size)


def member(name: str, data: bytes) -> bytes:
    """A member with its header and padding."""
    header = bytearray(BLOCK)
    encoded = name.encode()
    header[: len(encoded)] = encoded
    header[100:108] = b"0000644\0"
    header[108:116] = header[116:124] = b"0000000\0"
    header[124:136] = f"{len(data):011o}\0".encode()
    header[136:148] = f"{0:011o}\0".encode()
    header[148:156] = b" " * 8
    header[156:157] = b"0"
    header[257:265] = b"ustar\x0000"
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + data + bytes(-len(data) % BLOCK)
