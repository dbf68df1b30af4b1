# SPDX-License-Identifier: Apache-2.0
"""Looks at the head of a VHD stream with the eyes of its reader, before a byte of it is sent.

A host reports whatever it dislikes about a stream by one code and keeps the reason in its logs, so the rules of its
strictly forward reader (xapi: vhd_format f.ml From_input) are applied here first. The head is parsed anew from its
bytes; nothing is shared with the code that wrote it.
"""

import operator
import struct
import sys
from array import array
from collections.abc import Sequence

from v2x.errors import TargetError

_FOOTER_BYTES, _HEADER_BYTES, _SECTOR = 512, 1024, 512
_NO_BLOCK = 0xFFFF_FFFF


def check_head(head: bytes, content_length: int) -> None:
    """`head` is all up to the first bitmap. TargetError names the rule that a reader would stop at."""
    foot, header = head[:_FOOTER_BYTES], head[_FOOTER_BYTES : _FOOTER_BYTES + _HEADER_BYTES]
    need(len(header) == _HEADER_BYTES, "its head is cut short")
    need(foot[:8] == b"conectix" and _sums_up(foot, 64), "its footer is damaged")
    header_at, kind = struct.unpack_from(">Q", foot, 16)[0], struct.unpack_from(">I", foot, 60)[0]
    need(header_at == _FOOTER_BYTES and kind in (3, 4), "its footer is not that of a dynamic disk")
    need(header[:8] == b"cxsparse" and _sums_up(header, 36), "its header is damaged")
    table_at, _, entries, block_bytes = struct.unpack_from(">QIII", header, 16)
    size_bytes = struct.unpack_from(">Q", foot, 48)[0]
    need(block_bytes > 0 and block_bytes & (block_bytes - 1) == 0, "its block size is no power of two")
    need(entries * block_bytes >= size_bytes, "its block table is too short for the disk")
    end = table_at + -(-entries * 4 // _SECTOR) * _SECTOR
    need(table_at == _FOOTER_BYTES + _HEADER_BYTES and end == len(head), "its block table is not where it should be")
    used = _positions(memoryview(head)[table_at : table_at + entries * 4])
    stride = (block_bytes // _SECTOR // 8 + block_bytes) // _SECTOR
    first = end // _SECTOR
    need(
        all(map(operator.eq, used, range(first, first + len(used) * stride, stride))),
        "its blocks do not follow one another in ascending order",
    )
    need(
        content_length == end + len(used) * stride * _SECTOR + _FOOTER_BYTES,
        f"its length is not the announced {content_length:,} bytes",
    )


def _positions(table: memoryview) -> Sequence[int]:
    """Sector numbers of the blocks that are there, in the order of the table."""
    numbers = array("I")
    numbers.frombytes(table)
    if sys.byteorder == "little":
        numbers.byteswap()
    return array("I", (number for number in numbers if number != _NO_BLOCK))


def _sums_up(structure: bytes, at: int) -> bool:
    """Whether the ones' complement of the sum of all bytes, but for the checksum itself, is the checksum."""
    told = struct.unpack_from(">I", structure, at)[0]
    return bool(told == ~(sum(structure) - sum(structure[at : at + 4])) & 0xFFFF_FFFF)


def need(holds: bool, problem: str) -> None:
    """TargetError with `problem` unless it holds; a stream that breaks a rule is a fault of v2x."""
    if not holds:
        raise TargetError(
            f"the stream made for the disk would be refused: {problem}", hint="nothing was sent; please report this"
        )
