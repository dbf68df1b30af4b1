# SPDX-License-Identifier: Apache-2.0
"""Reading of fixed structures with bounds."""

from v2x.disks.interface import ByteSource
from v2x.errors import BadImage


def field_bytes(source: ByteSource, offset: int, length: int, what: str) -> bytes:
    """`length` bytes from `offset`; BadImage naming `what` if they do not lie within the file."""
    require_inside(source, offset, length, what)
    buffer = bytearray(length)
    source.read_into(offset, buffer)
    return bytes(buffer)


def require_inside(source: ByteSource, offset: int, length: int, what: str) -> None:
    """BadImage naming `what` unless `length` bytes from `offset` lie within the file."""
    if offset < 0 or length < 0 or offset + length > source.size:
        raise BadImage(
            f"{what} of {source.name} lies outside the file",
            hint="the file is truncated or damaged; copy it again",
        )
