# SPDX-License-Identifier: Apache-2.0
"""A VDI read again from the pool, for verification: GET /export_raw_vdi, forward only.

The export has no range and no length: it ends when the host closes, and whether that was the end or a fault is in the
task (xapi: export_raw_vdi.ml).
"""

import contextlib
from collections.abc import Iterator

from v2x.disks.extent import Extent
from v2x.disks.interface import Buffer
from v2x.errors import ConnectError, TargetError, V2xError
from v2x.model.units import MIB
from v2x.target.xapi import tasks
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import error_from
from v2x.target.xapi.routes import Routes
from v2x.target.xapi.transfer import Transfer, open_transfer
from v2x.target.xapi.upload import UploadTarget

_SETTLE_SECONDS = 60.0


class VdiReader:
    """The bytes of a VDI. Cheapest in ascending order: what lies between is read and dropped, a step back reopens."""

    def __init__(self, client: Client, routes: Routes, target: UploadTarget) -> None:
        self._client, self._routes, self._target = client, routes, target
        self._transfer: Transfer | None = None
        self._task = ""
        self._at = 0
        self._dropped = memoryview(bytearray(MIB))

    @property
    def size(self) -> int:
        return self._target.size_bytes

    @property
    def block(self) -> int:
        return 2 * MIB

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        """One data extent: the pool tells no allocation."""
        yield Extent(start, length, True)

    def clone(self) -> "VdiReader":
        return VdiReader(self._client, self._routes, self._target)

    def read_into(self, offset: int, buffer: Buffer) -> None:
        view = memoryview(buffer)
        if offset < 0 or offset + len(view) > self.size:
            raise ValueError(f"{len(view)} bytes at {offset} are outside a disk of {self.size}")
        transfer = self._transfer
        if transfer is None or offset < self._at:
            transfer = self._open()
        while self._at < offset:
            self._fill(transfer, self._dropped[: min(len(self._dropped), offset - self._at)])
        self._fill(transfer, view)

    def close(self) -> None:
        transfer, self._transfer = self._transfer, None
        if transfer is not None:
            transfer.close()
            with contextlib.suppress(V2xError):
                tasks.wait(self._client, self._task, patience_seconds=5.0)
            tasks.forget(self._client, self._task)

    def _open(self) -> Transfer:
        self.close()
        self._task = tasks.create(self._client, f"v2x: reading {self._target.name}")
        self._at = 0
        self._transfer = open_transfer(
            self._client,
            self._routes,
            self._routes.for_sr(self._target.sr),
            method="GET",
            path="/export_raw_vdi",
            query={"task_id": self._task, "vdi": self._target.uuid, "format": "raw"},
        )
        return self._transfer

    def _fill(self, transfer: Transfer, view: memoryview) -> None:
        while view:
            try:
                count = transfer.receive_into(view)
            except ConnectError as problem:
                raise self._broken(problem.message) from None
            if count == 0:
                raise self._broken("it ended early")
            self._at += count
            view = view[count:]
        if self._at == self.size:
            self._finish()

    def _finish(self) -> None:
        """All bytes are here; they count only if the task has succeeded."""
        found = tasks.wait(self._client, self._task, patience_seconds=_SETTLE_SECONDS)
        if found.status != tasks.SUCCESS:
            raise self._broken(f"its task is {found.status}")

    def _broken(self, cause: str) -> V2xError:
        told: V2xError | None = None
        with contextlib.suppress(V2xError):
            found = tasks.wait(self._client, self._task, patience_seconds=_SETTLE_SECONDS)
            if found.error:
                told = error_from(list(found.error), f"reading {self._target.name}")
        self.close()
        return told or TargetError(
            f"reading {self._target.name} back broke at {self._at:,} of {self.size:,} bytes: {cause}",
            hint="check the network and the host, then verify again",
        )
