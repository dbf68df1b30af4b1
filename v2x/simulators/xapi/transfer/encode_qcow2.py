# SPDX-License-Identifier: Apache-2.0
"""A QCOW2 export: metadata first, data clusters after it in virtual order (xapi: ocaml-qcow qcow_stream.ml)."""

import struct

from v2x.simulators.xapi.transfer.encode import Send, changed_blocks
from v2x.simulators.xapi.volumes import Volume

_BITS = 16
CLUSTER = 1 << _BITS
_PER_TABLE = CLUSTER // 8
_COPIED = 1 << 63


def _clusters(count: int, per_cluster: int) -> int:
    return -(-count // per_cluster)


class _Layout:
    """Where everything goes, in clusters: header, refcount table, refcount blocks, L1, L2 tables, data."""

    def __init__(self, size: int, blocks: list[int]) -> None:
        self.blocks = blocks
        self.size = size
        entries = _clusters(size, CLUSTER * _PER_TABLE)
        self.l1_entries = max(entries, 1)
        self.tables = sorted({n // _PER_TABLE for n in blocks})
        fixed = _clusters(self.l1_entries * 8, CLUSTER) + len(self.tables) + len(blocks)
        self.refcount_blocks, self.refcount_table = 1, 1
        while True:
            total = 1 + self.refcount_table + self.refcount_blocks + fixed
            blocks_needed = _clusters(total * 2, CLUSTER)
            table_needed = _clusters(blocks_needed * 8, CLUSTER)
            if (blocks_needed, table_needed) == (self.refcount_blocks, self.refcount_table):
                break
            self.refcount_blocks, self.refcount_table = blocks_needed, table_needed
        self.total = total
        self.l1 = 1 + self.refcount_table + self.refcount_blocks
        self.l2 = self.l1 + _clusters(self.l1_entries * 8, CLUSTER)
        self.data = self.l2 + len(self.tables)

    def header(self) -> bytes:
        raw = struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 0, 0, _BITS, self.size)
        raw += struct.pack(">IIQQIIQ", 0, self.l1_entries, self.l1 * CLUSTER, CLUSTER, self.refcount_table, 0, 0)
        return (raw + struct.pack(">QQQII", 0, 0, 0, 4, 104)).ljust(CLUSTER, b"\0")

    def refcounts(self) -> bytes:
        first = 1 + self.refcount_table
        table = b"".join(struct.pack(">Q", (first + n) * CLUSTER) for n in range(self.refcount_blocks))
        counts = b"\0\1" * self.total
        return table.ljust(self.refcount_table * CLUSTER, b"\0") + counts.ljust(self.refcount_blocks * CLUSTER, b"\0")

    def l1_table(self) -> bytes:
        entries = [0] * self.l1_entries
        for place, table in enumerate(self.tables):
            entries[table] = (self.l2 + place) * CLUSTER | _COPIED
        return struct.pack(f">{self.l1_entries}Q", *entries).ljust((self.l2 - self.l1) * CLUSTER, b"\0")

    def l2_tables(self) -> bytes:
        tables = {table: [0] * _PER_TABLE for table in self.tables}
        for place, block in enumerate(self.blocks):
            tables[block // _PER_TABLE][block % _PER_TABLE] = (self.data + place) * CLUSTER | _COPIED
        return b"".join(struct.pack(f">{_PER_TABLE}Q", *tables[table]) for table in self.tables)


def send_qcow2(volume: Volume, send: Send, base: Volume | None = None) -> None:
    """The 64 KiB clusters that hold data, or those that differ from `base`; no backing file is named."""
    blocks = [n for n in changed_blocks(volume, base, CLUSTER) if n * CLUSTER < volume.size]
    layout = _Layout(volume.size, blocks)
    send(layout.header() + layout.refcounts() + layout.l1_table() + layout.l2_tables())
    for block in blocks:
        send(volume.read(block * CLUSTER, CLUSTER).ljust(CLUSTER, b"\0"))
