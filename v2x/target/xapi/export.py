# SPDX-License-Identifier: Apache-2.0
"""One export of a VDI under a task of our own: GET /export_raw_vdi, read forward.

The export has no range and no length: it ends when the host closes, and whether that was the end or a fault is in the
task (xapi: export_raw_vdi.ml).
"""

import contextlib

from v2x.errors import ConnectError, TargetError, V2xError
from v2x.model.units import MIB
from v2x.target.xapi import tasks
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import error_from
from v2x.target.xapi.routes import Routes
from v2x.target.xapi.transfer import Transfer, open_transfer
from v2x.target.xapi.upload import UploadTarget

_SETTLE_SECONDS = 60.0
_DROP_SECONDS = 5.0
_OLD_SECONDS, _PULSE_SECONDS = 20 * 3600.0, 10.0
_PIECE_BYTES = MIB


class Export:
    """An export that the host has begun. `at` is how many of its bytes were taken."""

    def __init__(self, client: Client, routes: Routes, target: UploadTarget, form: str, base: str = "") -> None:
        """With `base`, the uuid of a snapshot, only what differs from it (vhd and qcow2)."""
        self._client, self._target, self._form = client, target, form
        self.at = 0
        self._dropped: memoryview | None = None
        self._task = tasks.create(client, f"v2x: reading {target.name}")
        try:
            self._transfer: Transfer | None = open_transfer(
                client,
                routes,
                routes.for_sr(target.sr),
                method="GET",
                path="/export_raw_vdi",
                query={"task_id": self._task, "vdi": target.uuid, "format": form, **({"base": base} if base else {})},
            )
        except BaseException:
            tasks.forget(client, self._task)
            raise
        self._pulse = tasks.Pulse(
            client, self._task, lambda: 0.5, after_seconds=_OLD_SECONDS, every_seconds=_PULSE_SECONDS
        )

    @property
    def closed(self) -> bool:
        """Closed by its owner, or by a fault."""
        return self._transfer is None

    def take(self, view: memoryview) -> int:
        """What has come, at least one byte, into `view`; 0 at the end of the stream. TargetError where it broke."""
        if self._transfer is None:
            raise ValueError("the export is closed")
        try:
            count = self._transfer.receive_into(view)
        except ConnectError as problem:
            raise self.broken(problem.message) from None
        self.at += count
        return count

    def fill(self, view: memoryview) -> None:
        """The next bytes, as many as `view` has; TargetError, with the task's cause, when there are fewer."""
        while view:
            count = self.take(view)
            if count == 0:
                raise self.broken("it ended early")
            view = view[count:]

    def skip_to(self, position: int) -> None:
        """Reads and drops what comes before byte `position` of the stream."""
        if self._dropped is None:
            self._dropped = memoryview(bytearray(_PIECE_BYTES))
        while self.at < position:
            self.fill(self._dropped[: min(len(self._dropped), position - self.at)])

    def finish(self) -> None:
        """All bytes are here; they count only if the task has succeeded."""
        found = tasks.wait(self._client, self._task, patience_seconds=_SETTLE_SECONDS)
        if found.status != tasks.SUCCESS:
            raise self.broken(f"its task is {found.status}")

    def broken(self, cause: str) -> V2xError:
        """The error for an export that failed: what its task tells, else `cause`. Closes it."""
        told = self._told()
        self.close()
        return told or TargetError(
            f"reading {self._target.name} back broke after {self.at:,} bytes of its {self._form} export: {cause}",
            hint="check the network and the host, then verify again",
        )

    def _told(self) -> V2xError | None:
        with contextlib.suppress(V2xError):
            found = tasks.wait(self._client, self._task, patience_seconds=_SETTLE_SECONDS)
            if found.error:
                return error_from(list(found.error), f"reading {self._target.name}")
        return None

    def close(self) -> None:
        """Drops the connection, lets the host notice, removes the task; safe to call twice."""
        transfer, self._transfer = self._transfer, None
        if transfer is not None:
            self._pulse.end()
            transfer.close()
            with contextlib.suppress(V2xError):
                tasks.wait(self._client, self._task, patience_seconds=_DROP_SECONDS)
            tasks.forget(self._client, self._task)
