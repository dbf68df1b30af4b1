# SPDX-License-Identifier: Apache-2.0
"""Raw disks: a sparse file, and the `chunked` framing in which XAPI takes parts of a raw disk.

The framing is that of ocaml/vhd-tool/src/chunked.ml in xapi-project/xen-api.
"""

import struct
from contextlib import closing
from typing import IO

from v2x.disks.interface import DiskReader
from v2x.disks.stream.feed import BLOCK_BYTES, Position, Progress, ZeroTest, data_blocks, read_blocks, write_all
from v2x.model.units import KIB, SECTOR

CHUNKED_END = bytes(12)
"""What ends a chunked stream; without it the import fails."""

_CHUNK = struct.Struct("<QI")
_HOLE_BYTES = 64 * KIB


def chunk_header(offset: int, length: int) -> bytes:
    """The 12 bytes before `length` bytes of data for `offset`. Both are multiples of 512; length is below 2 GiB."""
    if not 0 < length < 1 << 31 or offset < 0 or offset % SECTOR or length % SECTOR:
        raise ValueError(f"not a chunk: {length} bytes at {offset}")
    return _CHUNK.pack(offset, length)


def write_raw(reader: DiskReader, out: IO[bytes], *, progress: Progress | None = None) -> None:
    """Writes `reader`'s disk to the seekable, empty `out`: exact size, holes for zeros in steps of 64 KiB.

    `progress` takes increments that add up to the disk's size.
    """
    zero = ZeroTest(BLOCK_BYTES)
    position = Position(progress)
    with closing(read_blocks(reader, data_blocks(reader, BLOCK_BYTES), block_bytes=BLOCK_BYTES)) as blocks:
        for block in blocks:
            for begin, end in zero.data_runs(block, _HOLE_BYTES):
                out.seek(block.start + begin)
                write_all(out, block.data(begin, end))
            position.reached(block.start + block.length)
    out.truncate(reader.size)
    position.reached(reader.size)
