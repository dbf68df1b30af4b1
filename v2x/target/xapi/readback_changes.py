# SPDX-License-Identifier: Apache-2.0
"""What was written to a VDI since a snapshot of it, read by the VHD export that carries only that."""

import logging
from collections.abc import Iterator

from v2x.disks.extent import Extent
from v2x.disks.interface import Buffer
from v2x.errors import Unsupported
from v2x.target.xapi.client import Client
from v2x.target.xapi.readback_vhd import NoVhd, VhdReader
from v2x.target.xapi.routes import Routes
from v2x.target.xapi.upload import UploadTarget
from v2x.target.xapi.vhd_table import BLOCK_BYTES
from v2x.text import printable

_log = logging.getLogger("v2x.target")


class VdiDifferences:
    """The blocks of a VDI that differ from a snapshot; no others may be read. Unsupported where one comes in parts."""

    def __init__(self, client: Client, routes: Routes, target: UploadTarget, base: str, inner: VhdReader) -> None:
        self._client, self._routes, self._target, self._base = client, routes, target, base
        self._inner = inner

    @property
    def size(self) -> int:
        return self._target.size_bytes

    @property
    def block(self) -> int:
        return BLOCK_BYTES

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        """Data where there is a difference."""
        return self._inner.extents(start, length)

    def clone(self) -> "VdiDifferences":
        inner = VhdReader(self._client, self._routes, self._target, self._base)
        return VdiDifferences(self._client, self._routes, self._target, self._base, inner)

    def read_into(self, offset: int, buffer: Buffer) -> None:
        try:
            self._inner.read_into(offset, memoryview(buffer).cast("B"))
        except NoVhd as reason:
            raise Unsupported(f"{self._target.name}: {reason}", hint="it is verified as a whole") from None

    def close(self) -> None:
        self._inner.close()


def differences(client: Client, routes: Routes, target: UploadTarget, base: str) -> VdiDifferences | None:
    """Opens the export against the snapshot `base`; None where the pool gives none that can be read forward."""
    try:
        return VdiDifferences(client, routes, target, base, VhdReader(client, routes, target, base))
    except NoVhd as reason:
        _log.info("%s is verified as a whole: %s", printable(target.name), reason)
        return None
