# SPDX-License-Identifier: Apache-2.0
"""A VDI read again from the pool, for verification: forward only, at the cost of what it holds where possible.

The VHD export carries only blocks with data. The raw export carries every byte, and serves where there is no VHD
export, or none that can be read forward.
"""

import logging
from collections.abc import Iterator

from v2x.disks.extent import Extent
from v2x.disks.interface import Buffer
from v2x.disks.stream.vhd import MAX_BYTES as VHD_LIMIT_BYTES
from v2x.target.xapi.client import Client
from v2x.target.xapi.export import Export
from v2x.target.xapi.readback_vhd import NoVhd, VhdReader
from v2x.target.xapi.routes import Routes
from v2x.target.xapi.upload import UploadTarget
from v2x.target.xapi.vhd_table import BLOCK_BYTES
from v2x.text import printable

_log = logging.getLogger("v2x.target")


class VdiReader:
    """The bytes of a VDI of `virtual_size`. Cheapest in ascending order; a step back begins another export.

    The way is chosen when the first extent or byte is asked for. A VHD export is tried up to 2040 GiB; where the pool
    gives none, or one that cannot be read forward, the raw export takes its place. Errors are TargetError or
    AccessError; after the last byte that the disk holds was read, the export's task is known to have succeeded.
    """

    def __init__(self, client: Client, routes: Routes, target: UploadTarget) -> None:
        self._client, self._routes, self._target = client, routes, target
        self._inner: VhdReader | RawReader | None = None
        self._way: str | None = None

    @property
    def size(self) -> int:
        return self._target.size_bytes

    @property
    def block(self) -> int:
        return BLOCK_BYTES

    @property
    def over(self) -> str:
        return "" if self._way is None else f"{self._way} export"

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        """The blocks that the VHD export carries; one data extent where it has to be the raw one."""
        return self._chosen().extents(start, length)

    def clone(self) -> "VdiReader":
        return VdiReader(self._client, self._routes, self._target)

    def read_into(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer).cast("B")
        if offset < 0 or offset + len(view) > self.size:
            raise ValueError(f"{len(view)} bytes at {offset} are outside a disk of {self.size}")
        if view:
            self._chosen().read_into(offset, view)

    def close(self) -> None:
        """Drops what is under way; a later read begins anew."""
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.close()

    def _chosen(self) -> "VhdReader | RawReader":
        if self._inner is None:
            if self.size <= VHD_LIMIT_BYTES:
                try:
                    self._inner = VhdReader(self._client, self._routes, self._target)
                    self._way = "VHD"
                    return self._inner
                except NoVhd as reason:
                    # Whatever it was, the raw export either works or tells the cause.
                    _log.info("%s is read back in full, not as a VHD: %s", printable(self._target.name), reason)
            self._inner = RawReader(self._client, self._routes, self._target)
            self._way = "raw"
        return self._inner


class RawReader:
    """The bytes of a VDI by its raw export: what lies between is read and dropped, a step back reopens."""

    def __init__(self, client: Client, routes: Routes, target: UploadTarget) -> None:
        self._client, self._routes, self._target = client, routes, target
        self._export: Export | None = None

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        """One data extent: the raw export tells no allocation."""
        yield Extent(start, length, True)

    def read_into(self, offset: int, view: memoryview) -> None:
        export = self._export
        if export is None or export.closed or offset < export.at:
            self.close()
            export = self._export = Export(self._client, self._routes, self._target, "raw")
        export.skip_to(offset)
        export.fill(view)
        if export.at == self._target.size_bytes:
            export.finish()

    def close(self) -> None:
        export, self._export = self._export, None
        if export is not None:
            export.close()
