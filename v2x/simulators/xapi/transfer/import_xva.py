# SPDX-License-Identifier: Apache-2.0
"""PUT /import: a whole VM as an XVA stream (xapi: import.ml)."""

import contextlib
from typing import TYPE_CHECKING

from v2x.simulators.xapi import tasks
from v2x.simulators.xapi.attach import attach_to_dom0, detach
from v2x.simulators.xapi.calls.vdi import prezeroed
from v2x.simulators.xapi.failure import ApiError, DeviceFull, StreamBroken, StreamEnded
from v2x.simulators.xapi.ledger import Import
from v2x.simulators.xapi.state import PoolState
from v2x.simulators.xapi.transfer import access
from v2x.simulators.xapi.transfer.archive import close_archive, open_archive
from v2x.simulators.xapi.transfer.body import Body
from v2x.simulators.xapi.transfer.chunks import ChunkReader
from v2x.simulators.xapi.transfer.request import Request
from v2x.simulators.xapi.transfer.sink import Sink
from v2x.simulators.xapi.transfer.xva_objects import Creator, import_error, read_appliance

if TYPE_CHECKING:
    from v2x.simulators.xapi.transfer.connection import Connection

_TAIL_BYTES = 64 * 1024
_EXPORT_VERSION = 2
_ERROR_TEXT = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def handle(connection: "Connection", request: Request) -> None:
    state = connection.state
    session = access.upload_session(connection, request, "http/put_import")
    if session is None:
        return
    try:
        task = access.task_of(connection, request, session, "VM import")
        sr = _target_sr(connection, request)
    except ApiError as error:
        if error.code == "DEFAULT_SR_NOT_FOUND":
            tasks.fail(state, task, error)
        connection.page(400 if error.code == "DEFAULT_SR_NOT_FOUND" else 500)
        return
    if "transfer-encoding" in request.headers:
        tasks.fail(state, task, ApiError("IMPORT_ERROR_CANNOT_HANDLE_CHUNKED"))
        connection.page(403)
    elif state.store.get("SR", sr, "content_type") == "iso":
        tasks.fail(state, task, ApiError("SR_OPERATION_NOT_SUPPORTED", sr))
        connection.page(400)
    elif access.redirect(connection, request, sr):
        access.forget_own_task(state, request, task)
    else:
        _receive(connection, request, task, sr)


def _receive(connection: "Connection", request: Request, task: str, sr: str) -> None:
    """200 first, then the stream, and the verdict in the task."""
    state = connection.state
    answer = {"connection": "close", "task-id": task, "content-type": "application/octet-stream"}
    with contextlib.suppress(OSError):
        connection.send(200, answer, length=False)
    body = Body(
        connection.sock,
        request.pending,
        request.content_length,
        rate=lambda: state.settings.read_rate,
        stopping=state.stopping,
    )
    state.wait(state.settings.attach_delay)
    cut = state.faults.take("cut_import")
    body.cut_at = cut.at if cut is not None else None
    flags = {name: request.query.get(name) == "true" for name in ("restore", "force")}
    intake = Intake(state, connection.host, task, sr, body, restore=flags["restore"], force=flags["force"])
    try:
        vms = intake.run()
    except ApiError as error:
        if body.was_cut:
            connection.drop()
        if state.faults.take("vanish_task") is not None:
            tasks.vanish(state, task)
        tasks.fail(state, task, error)
        with contextlib.suppress(OSError):
            connection.sock.sendall(_ERROR_TEXT)
    else:
        if state.faults.take("vanish_task") is not None:
            tasks.vanish(state, task)
        tasks.succeed(state, task, vms)


def _target_sr(connection: "Connection", request: Request) -> str:
    state = connection.state
    named = request.query.get("sr_id", request.query.get("sr_uuid"))
    if named is not None:
        return access.found(state, "SR", named)
    sr: str = state.store.get("pool", state.pool_ref, "default_SR")
    if not state.store.exists("SR", sr):
        raise ApiError("DEFAULT_SR_NOT_FOUND", sr)
    return sr


class Intake:
    """One XVA on its way in: records first, then the disks."""

    def __init__(
        self, state: PoolState, host: str, task: str, sr: str, body: Body, *, restore: bool = False, force: bool = False
    ) -> None:
        self._state = state
        self._host = host
        self._task = task
        self._sr = sr
        self._restore = restore
        self._force = force
        self._body = body
        self._entry: Import = self._state.ledger.open_import("xva", task, "xva")
        self._creator: Creator | None = None

    def run(self) -> list[str]:
        """The VMs. ApiError after everything that was made went again, unless the client forced its way."""
        error: ApiError
        try:
            vms = self._take_in()
        except ApiError as refused:
            error = refused
        except StreamEnded:
            error = ApiError("IMPORT_ERROR_PREMATURE_EOF")
        except DeviceFull as full:
            error = ApiError("VDI_IO_ERROR", str(full))
        except StreamBroken as broken:
            error = import_error(str(broken))
        else:
            self._end("success", [])
            return vms
        if self._creator is not None and not self._force:
            self._creator.undo()
        elif self._creator is not None:
            self._creator.settle()
        self._end("failure", error.description)
        raise error

    def _end(self, outcome: str, error: list[str]) -> None:
        self._entry.received_bytes = self._body.position
        self._state.ledger.close_import(self._entry, outcome, error)

    def _take_in(self) -> list[str]:
        source = open_archive(self._body)
        try:
            reader = ChunkReader(source, lenient=self._force, watch=access.cancellation(self._state, self._task))
            first = reader.header()
            if first is None or first.name != "ova.xml":
                found = "" if first is None else first.name
                raise ApiError("IMPORT_ERROR_UNEXPECTED_FILE", "ova.xml", found)
            appliance = read_appliance(self._state, reader.content(first))
            if appliance.export_version < _EXPORT_VERSION:
                raise import_error("the simulated pool takes checksums beside the chunks only (export_vsn 2)")
            self._creator = Creator(self._state, appliance, self._sr, self._task, restore=self._restore)
            self._creator.create()
            self._announce()
            for ident in self._creator.streamed():
                self._disk(reader, ident, self._creator.made.vdis[ident], appliance.get("VDI", ident)["virtual_size"])
            with contextlib.suppress(StreamBroken):
                self._body.drain(_TAIL_BYTES)
            return self._creator.settle()
        finally:
            close_archive(source)

    def _announce(self) -> None:
        """From now on a client may re-map the NICs."""
        store = self._state.store
        with store.lock:
            if store.exists("task", self._task):
                told = store.get("task", self._task, "other_config") | {"object_creation": "complete"}
                store.set("task", self._task, other_config=told)

    def _disk(self, reader: ChunkReader, ident: str, vdi: str, size: int) -> None:
        vbd = attach_to_dom0(self._state, vdi, "RW", self._host)
        try:
            sink = Sink(self._state, vdi, self._entry)
            zero = None if prezeroed(self._state, vdi) else sink.zero

            def progress(value: float) -> None:
                tasks.progress(self._state, self._task, value)

            reader.disk(ident, size, sink.write, zero, progress)
        finally:
            detach(self._state, vbd)
