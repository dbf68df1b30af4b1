# SPDX-License-Identifier: Apache-2.0
"""Looks at the head of a QCOW2 stream with the eyes of its reader, before a byte of it is sent.

XAPI's reader goes forward only and takes clusters in one order: header, refcount table, L1, L2 tables, data without a
gap (mirage/ocaml-qcow lib/qcow_stream.ml). What it dislikes it reports by one code, so its rules are applied here
first. The head is parsed anew from its bytes; nothing is shared with the code that wrote it.
"""

import struct
import sys
from array import array
from collections.abc import Iterable

from v2x.disks.stream.vhd_check import need

_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_OFFSET = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED, _ZERO = 1 << 62, 1


def check_head(pieces: Iterable[bytes], content_length: int) -> None:
    """`pieces` are all before the first data cluster. TargetError names the rule that a reader would stop at.

    Takes the memory of one cluster and of the L1 table.
    """
    reader = _Reader(pieces)
    header = reader.take(_HEADER.size)
    need(len(header) == _HEADER.size, "its header is cut short")
    magic, version, backing, _, bits, size, crypt, l1_entries, l1_at, table_at, table_clusters, snapshots, _, *rest = (
        _HEADER.unpack(header)
    )
    incompatible, _, autoclear, _, header_length = rest
    need(magic == b"QFI\xfb" and version == 3 and header_length % 8 == 0, "its header is damaged")
    need(12 <= bits <= 21, "its cluster size is out of range")
    cluster = 1 << bits
    need(not (backing or crypt or snapshots or incompatible or autoclear), "its header asks for what a host lacks")
    need(size % cluster == 0, "its size is no whole number of clusters")
    need(table_at == cluster and l1_at >= cluster * (1 + table_clusters), "its tables are not in order")
    need(l1_at % cluster == 0 and l1_entries * cluster * (cluster // 8) >= size, "its L1 table is too short")
    need(reader.skip_to(l1_at), "its head is cut short")
    tables = [entry & _OFFSET for entry in _numbers(reader.take(l1_entries * 8)) if entry]
    first = l1_at + -(-l1_entries * 8 // cluster) * cluster
    need(tables == list(range(first, first + len(tables) * cluster, cluster)), "its L2 tables are not in order")
    need(reader.skip_to(first), "its head is cut short")
    data = first + len(tables) * cluster
    for _ in tables:
        entries = [entry for entry in _numbers(reader.take(cluster)) if entry]
        need(not any(entry & (_COMPRESSED | _ZERO) for entry in entries), "it has clusters that a host cannot take")
        following = data + len(entries) * cluster
        need(
            [entry & _OFFSET for entry in entries] == list(range(data, following, cluster)), "its data is not in order"
        )
        data = following
    need(reader.at == first + len(tables) * cluster and reader.is_done(), "its head has another length than it says")
    need(data == content_length, f"its length is not the announced {content_length:,} bytes")


class _Reader:
    """Reads pieces strictly forward."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self._held = iter(pieces), bytearray()
        self.at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes, or fewer at the end."""
        while len(self._held) < count:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._held += piece
        taken = bytes(self._held[:count])
        del self._held[:count]
        self.at += len(taken)
        return taken

    def skip_to(self, position: int) -> bool:
        """False where the pieces end before, or it lies behind."""
        while self.at < position:
            if not self.take(min(position - self.at, 1 << 21)):
                return False
        return self.at == position

    def is_done(self) -> bool:
        return not self.take(1)


def _numbers(table: bytes) -> "array[int]":
    need(len(table) % 8 == 0, "its head is cut short")
    numbers = array("Q", table)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
