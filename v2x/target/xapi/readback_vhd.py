# SPDX-License-Identifier: Apache-2.0
"""A VDI read again through its VHD export, which carries only the blocks that hold data."""

from collections.abc import Iterator

from v2x.disks.extent import Extent
from v2x.errors import TargetError, V2xError
from v2x.model.units import MIB
from v2x.target.xapi.client import Client
from v2x.target.xapi.export import Export
from v2x.target.xapi.routes import Routes
from v2x.target.xapi.upload import UploadTarget
from v2x.target.xapi.vhd_table import (
    BITMAP_BYTES,
    BLOCK_BYTES,
    FOOTER_BYTES,
    BlockTable,
    Damaged,
    NotForward,
    check_footer,
    read_table,
    zero_runs,
)

_FULL = b"\xff" * BITMAP_BYTES
_TAIL_LIMIT_BYTES = BLOCK_BYTES + MIB


class NoVhd(Exception):
    """This disk cannot be had as a VHD that is read forward; nothing of it was given out. The text says why."""


class VhdReader:
    """The bytes of a VDI. Cheapest in ascending order: blocks between are read and dropped, a step back reopens.

    Opening reads the block table; NoVhd when the pool gives no such export, or one that cannot be read forward. Blocks
    that are not in the table are zeros without any reading. When the last block that is there has been read, the rest
    of the stream is read too, and the task must have succeeded. Memory is 4 bytes for each block of the disk.
    """

    def __init__(self, client: Client, routes: Routes, target: UploadTarget, base: str = "") -> None:
        """With `base`, the uuid of a snapshot of the VDI, only what differs from it is there, and may be read."""
        self._client, self._routes, self._target, self._base = client, routes, target, base
        self._export: Export | None = None
        self._block, self._bitmap = -1, _FULL
        self._table = self._open()

    @property
    def size(self) -> int:
        return self._target.size_bytes

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        return self._table.extents(start, length)

    def read_into(self, offset: int, view: memoryview) -> None:
        while view:
            block, within = divmod(offset, BLOCK_BYTES)
            part = view[: BLOCK_BYTES - within]
            if self._table.position(block) < 0:
                if self._base:
                    raise ValueError(f"block {block} is as in the snapshot, and not in this export")
                part[:] = bytes(len(part))
            else:
                self._read(block, within, part)
            offset, view = offset + len(part), view[len(part) :]

    def close(self) -> None:
        export, self._export = self._export, None
        if export is not None:
            export.close()

    def _open(self) -> BlockTable:
        self.close()
        try:
            export = self._export = Export(self._client, self._routes, self._target, "vhd", self._base)
        except TargetError as problem:
            raise NoVhd(problem.message) from problem
        self._block = -1
        try:
            table = read_table(self._take, self.size, differencing=bool(self._base))
        except Damaged as problem:
            raise self._damaged(str(problem)) from None
        except NotForward as problem:
            self.close()
            raise NoVhd(str(problem)) from None
        except BaseException:
            self.close()
            raise
        if table.last < 0:
            self._finish(export)
        return table

    def _take(self, position: int, count: int) -> bytes:
        """`count` bytes at `position` of the stream, both near its start. NoVhd if it begins with a failure."""
        export = self._opened()
        begins = export.at == 0
        export.skip_to(position)
        taken = bytearray(count)
        view = memoryview(taken)
        if begins:
            got = self._first(export, view)
            view = view[got:]
        export.fill(view)
        return bytes(taken)

    def _first(self, export: Export, view: memoryview) -> int:
        """The first bytes. A host failing after its 200 says so in the body, or ends it (xapi: export_raw_vdi.ml)."""
        got = 0
        while got < 5:
            try:
                count = export.take(view[got:])
            except V2xError as problem:
                if got:
                    raise
                raise NoVhd(problem.message) from problem
            if count == 0:
                break
            got += count
        if got == 0 or bytes(view[:5]) == b"HTTP/":
            raise NoVhd(export.broken("the host gave up before the first byte").message)
        return got

    def _read(self, block: int, within: int, part: memoryview) -> None:
        start = self._table.position(block)
        wanted = start + BITMAP_BYTES + within
        export = self._export
        if export is None or export.closed or export.at > (wanted if block == self._block else start):
            export = self._reopened()
        if block != self._block:
            export.skip_to(start)
            bitmap = bytearray(BITMAP_BYTES)
            export.fill(memoryview(bitmap))
            self._block, self._bitmap = block, bytes(bitmap)
        export.skip_to(wanted)
        export.fill(part)
        if self._bitmap != _FULL:
            if self._base:
                self.close()
                raise NoVhd(f"it carries block {block} in parts, and the rest is only in the snapshot")
            for first, end in zero_runs(self._bitmap):
                low, high = max(first - within, 0), min(end - within, len(part))
                if low < high:
                    part[low:high] = bytes(high - low)
        if block == self._table.last and block * BLOCK_BYTES + within + len(part) == self._end_of(block):
            self._finish(export)

    def _end_of(self, block: int) -> int:
        return min(self.size, (block + 1) * BLOCK_BYTES)

    def _opened(self) -> Export:
        if self._export is None:
            raise ValueError("the reader is closed")
        return self._export

    def _reopened(self) -> Export:
        """A new export, which must have the blocks of the first: what was told of them has been relied on."""
        try:
            table = self._open()
        except NoVhd as problem:
            raise TargetError(
                f"{self._target.name} cannot be read again from its start: {problem}",
                hint="check the network and the host, then verify again",
            ) from problem
        if table != self._table:
            self.close()
            raise TargetError(
                f"{self._target.name} changed on the pool while it was read",
                hint="let nothing else use the disk, then verify again",
            )
        return self._opened()

    def _finish(self, export: Export) -> None:
        """Reads the stream to its end, which is a footer, and has the task confirm that it was all."""
        piece = memoryview(bytearray(64 * 1024))
        tail, limit = b"", export.at + _TAIL_LIMIT_BYTES
        while count := export.take(piece):
            tail = (tail + bytes(piece[:count]))[-FOOTER_BYTES:]
            if export.at > limit:
                raise self._damaged("it does not end after its last block")
        export.finish()
        try:
            check_footer(tail.rjust(FOOTER_BYTES, b"\0"))
        except Damaged:
            raise self._damaged("it does not end with a VHD footer") from None

    def _damaged(self, how: str) -> V2xError:
        self.close()
        return TargetError(
            f"the VHD export of {self._target.name} is damaged: {how}",
            hint="/var/log/xensource.log on that host has more; verify again",
        )
