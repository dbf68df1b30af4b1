# SPDX-License-Identifier: Apache-2.0
"""The QCOW2 stream reader: all metadata first, then data clusters without a gap (xapi: ocaml-qcow qcow_stream.ml)."""

import struct
from collections.abc import Iterator

from v2x.simulators.xapi.failure import StreamBroken
from v2x.simulators.xapi.transfer.body import Body, Write

_MAGIC = 0x514649FB
_DIRTY_OR_CORRUPT = 0b11
_COMPRESSED, _ZERO = 1 << 62, 1
_OFFSET = (1 << 56) - 1 & ~0x1FF
_TABLE_LIMIT_BYTES = 64 * 1024 * 1024


class _Header:
    def __init__(self, raw: bytes) -> None:
        magic, self.version, _backing, _backing_size, bits, self.size = struct.unpack_from(">IIQIIQ", raw)
        if magic != _MAGIC or self.version not in (2, 3):
            raise StreamBroken("qcow2: no header of version 2 or 3")
        if not 12 <= bits <= 21:
            raise StreamBroken(f"qcow2: cluster_bits {bits}")
        self.cluster = 1 << bits
        crypt, self.l1_entries, self.l1_offset, self.refcount_offset = struct.unpack_from(">IIQQ", raw, 32)
        if crypt:
            raise StreamBroken("qcow2: encrypted")
        if self.version == 3:
            incompatible, _compatible, autoclear = struct.unpack_from(">QQQ", raw, 72)
            length = struct.unpack_from(">I", raw, 100)[0]
            if incompatible & ~_DIRTY_OR_CORRUPT or autoclear:
                raise StreamBroken("qcow2: unknown feature bits")
            if length % 8:
                raise StreamBroken(f"qcow2: header length {length}")
        if self.l1_entries * 8 > _TABLE_LIMIT_BYTES:
            raise StreamBroken("qcow2: L1 table is not sane")


def _entries(raw: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(raw) // 8}Q", raw[: len(raw) // 8 * 8])


def _round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


class _Reader:
    def __init__(self, body: Body) -> None:
        self._body = body
        raw = body.read(4096)  # the smallest cluster; a header never crosses it
        self._header = _Header(raw)
        body.skip_to(self._header.cluster)

    def _l1(self) -> list[int]:
        """Offsets of the L2 tables by L1 index, 0 where there is none."""
        header, body = self._header, self._body
        if header.refcount_offset != header.cluster:
            raise StreamBroken("qcow2: the refcount table is not in cluster 1")
        if header.l1_offset % header.cluster or header.l1_offset < 2 * header.cluster:
            raise StreamBroken("qcow2: the L1 table does not follow the refcount table")
        body.skip_to(header.l1_offset)
        raw = body.read(header.l1_entries * 8)
        body.skip_to(_round_up(body.position, header.cluster))
        return [entry & _OFFSET for entry in _entries(raw)]

    def _l2(self, tables: list[int]) -> Iterator[tuple[int, bytes]]:
        """(L1 index, table) in the order of the file."""
        body = self._body
        placed = sorted((offset, index) for index, offset in enumerate(tables) if offset)
        for offset, index in placed:
            if offset % self._header.cluster or offset < body.position:
                raise StreamBroken("qcow2: an L2 table is out of order")
            body.skip_to(offset)
            yield index, body.read(self._header.cluster)

    def _clusters(self) -> list[tuple[int, int]]:
        """(file offset, virtual cluster) of the data, by offset."""
        header = self._header
        per_table = header.cluster // 8
        highest = header.size // header.cluster
        found: list[tuple[int, int]] = []
        for index, raw in self._l2(self._l1()):
            for number, entry in enumerate(_entries(raw)):
                if entry & _COMPRESSED:
                    raise StreamBroken("qcow2: a compressed cluster")
                offset = entry & _OFFSET
                if not offset:
                    continue
                virtual = index * per_table + number
                if virtual >= highest:
                    raise StreamBroken(f"qcow2: cluster {virtual} is beyond the virtual size")
                found.append((offset, virtual))
        return sorted(found)

    def run(self, write: Write) -> None:
        cluster, body = self._header.cluster, self._body
        view = memoryview(bytearray(cluster))
        for offset, virtual in self._clusters():
            if offset != body.position:
                raise StreamBroken(f"qcow2: data cluster at {offset}, expected at {body.position}")
            body.read_into(view)
            write(view, virtual * cluster)


def receive(body: Body, write: Write) -> None:
    """Writes the data clusters. Content-Length is not used; what follows the last cluster is not read."""
    _Reader(body).run(write)
