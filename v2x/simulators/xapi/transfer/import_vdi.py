# SPDX-License-Identifier: Apache-2.0
"""PUT /import_raw_vdi (xapi: import_raw_vdi.ml): 200 first, the verdict in the task only."""

import contextlib
from typing import TYPE_CHECKING

from v2x.simulators.xapi import tasks
from v2x.simulators.xapi.attach import attach_to_dom0, detach
from v2x.simulators.xapi.calls.vdi import make_vdi, prezeroed
from v2x.simulators.xapi.failure import ApiError, DeviceFull, StreamBroken, StreamEnded, internal
from v2x.simulators.xapi.ledger import Import
from v2x.simulators.xapi.state import PoolState
from v2x.simulators.xapi.transfer import access, chunks, qcow2, raw, vhd
from v2x.simulators.xapi.transfer.body import Body, ConnectionCut
from v2x.simulators.xapi.transfer.request import Request
from v2x.simulators.xapi.transfer.sink import Sink

if TYPE_CHECKING:
    from v2x.simulators.xapi.transfer.connection import Connection

_TAIL_BYTES = 64 * 1024
_LABEL = "Importing raw VDI"
_ERROR_TEXT = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class _Refused(Exception):
    """The request is answered with `status`; `error` goes to the task."""

    def __init__(self, status: int, error: ApiError) -> None:
        super().__init__(status)
        self.status = status
        self.error = error


def handle(connection: "Connection", request: Request) -> None:
    session = access.upload_session(connection, request, "http/put_import_raw_vdi")
    if session is None:
        return
    try:
        task = access.task_of(connection, request, session, _LABEL)
    except ApiError:
        connection.page(500)
        return
    try:
        _accept(connection, request, task)
    except ApiError:
        connection.page(500)
    except _Refused as refused:
        tasks.fail(connection.state, task, refused.error)
        connection.page(refused.status)


def _accept(connection: "Connection", request: Request, task: str) -> None:
    """The checks that come before the 200, then the upload. ApiError: 500 with the task left pending."""
    state = connection.state
    target, sr = _target(state, request)
    if access.redirect(connection, request, sr):
        access.forget_own_task(state, request, task)
        return
    format_ = _format(state, request, target)
    target = target or _new_vdi(state, request, sr)
    _Upload(connection, request, task, target, format_).run()


def _target(state: PoolState, request: Request) -> tuple[str, str]:
    """(VDI or "", SR). ApiError, so 500 with the task pending, when a name leads nowhere."""
    with state.store.lock:
        named = request.query.get("vdi")
        if named is not None:
            vdi = access.found(state, "VDI", named)
            return vdi, state.store.get("VDI", vdi, "SR")
        sr = request.query.get("sr_id", request.query.get("sr_uuid"))
        if sr is None:
            raise _Refused(400, ApiError("VDI_MISSING"))
        return "", access.found(state, "SR", sr)


def _format(state: PoolState, request: Request, target: str) -> str:
    format_ = request.query.get("format", "raw").lower()
    chunked = "chunked" in request.query
    known = {"raw", "vhd", "tar", *(["qcow2"] if state.profile.qcow2 else [])}
    if format_ not in known:
        raise _Refused(404, internal(f"Unknown format {request.query['format']}"))
    if not target and (format_ != "raw" or request.content_length is None):
        raise _Refused(400, internal("a VDI must be given for this format"))
    if chunked and format_ != "raw":
        raise _Refused(404, internal("Cannot handle chunked VHD"))
    if "transfer-encoding" in request.headers:
        encoding = request.headers["transfer-encoding"]
        raise _Refused(404, internal(f"Cannot handle encoding: {encoding}"))
    return "chunked" if chunked else format_


def _new_vdi(state: PoolState, request: Request, sr: str) -> str:
    values = {
        "name_label": "Imported VDI",
        "SR": sr,
        "virtual_size": request.content_length or 0,
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {},
    }
    try:
        with state.store.lock:
            return make_vdi(state, values)
    except ApiError as error:
        raise _Refused(400, error) from None


class _Upload:
    """One accepted upload: attach, feed the format's reader, detach, complete the task."""

    def __init__(self, connection: "Connection", request: Request, task: str, vdi: str, format_: str) -> None:
        self._connection = connection
        self._state = connection.state
        self._task = task
        self._vdi = vdi
        self._format = format_
        self._body = Body(
            connection.sock,
            request.pending,
            request.content_length,
            rate=lambda: self._state.settings.read_rate,
            stopping=self._state.stopping,
        )
        self._uuid: str = self._state.store.get("VDI", vdi, "uuid")
        self._entry: Import = self._state.ledger.open_import("vdi", task, format_, self._uuid)

    def run(self) -> None:
        answer = {"connection": "close", "task-id": self._task, "content-type": "application/octet-stream"}
        with contextlib.suppress(OSError):
            self._connection.send(200, answer, length=False)
        try:
            vbd = attach_to_dom0(self._state, self._vdi, "RW", self._connection.host)
        except ApiError as error:
            self._end(error)
            return
        failure = self._receive()
        self._entry.received_bytes = self._body.position
        if failure is None:
            self._state.wait(self._state.settings.detach_delay)
            detach(self._state, vbd)
            self._end(None)
            return
        self._end(failure)
        hold = self._state.faults.take("hold_busy", self._uuid)
        self._state.wait(hold.seconds if hold else self._state.settings.release_delay)
        detach(self._state, vbd)

    def _receive(self) -> ApiError | None:
        """Feeds the reader; the failure for the task, or None."""
        self._state.wait(self._state.settings.attach_delay)
        cut = self._state.faults.take("cut_import", self._uuid)
        self._body.cut_at = cut.at if cut is not None else None
        try:
            self._read()
        except ConnectionCut as broken:
            self._connection.drop()
            return ApiError("VDI_IO_ERROR", str(broken))
        except StreamBroken as broken:
            return ApiError("VDI_IO_ERROR", str(broken))
        except ApiError as error:
            return error
        return None

    def _read(self) -> None:
        sink = Sink(self._state, self._vdi, self._entry)
        size = sink.volume.size
        zeroed = prezeroed(self._state, self._vdi)
        if self._format == "vhd":
            if not zeroed:
                raise StreamBroken("a sparse stream cannot fill a device that is not zeroed")
            vhd.receive(self._body, sink.write, size, self._progress)
        elif self._format == "qcow2":
            qcow2.receive(self._body, sink.write)
        elif self._format == "tar":
            self._read_tar(sink, None if zeroed else sink.zero)
        elif self._format == "chunked":
            raw.receive_chunked(self._body, sink.write)
        else:
            raw.receive(self._body, sink.write, size, self._progress)

    def _read_tar(self, sink: Sink, zero: chunks.Zero | None) -> None:
        """The one format that looks at cancellation, and whose structural faults are INTERNAL_ERROR."""
        reader = chunks.ChunkReader(self._body, watch=access.cancellation(self._state, self._task))
        try:
            reader.disk("vdi", sink.volume.size, sink.write, zero, self._progress)
        except (StreamEnded, DeviceFull):
            raise
        except StreamBroken as broken:
            raise internal(f'Failure("{broken}")') from None
        with contextlib.suppress(StreamBroken):
            self._body.drain(_TAIL_BYTES)

    def _progress(self, value: float) -> None:
        tasks.progress(self._state, self._task, value)

    def _end(self, error: ApiError | None) -> None:
        """The verdict goes to the ledger and the task; a failure leaves a trace in the body too."""
        state = self._state
        self._state.ledger.close_import(
            self._entry, "success" if error is None else "failure", error.description if error else []
        )
        if state.faults.take("vanish_task", self._uuid) is not None:
            tasks.vanish(state, self._task)
        elif error is None:
            tasks.succeed(state, self._task, self._vdi)
        else:
            tasks.fail(state, self._task, error)
        if error is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.sendall(_ERROR_TEXT)
