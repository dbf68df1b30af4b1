# SPDX-License-Identifier: Apache-2.0
"""GET /export_raw_vdi: no length, the end is the end of the connection, success is in the task.

Facts: xapi, export_raw_vdi.ml.
"""

from typing import TYPE_CHECKING

from v2x.simulators.xapi import tasks
from v2x.simulators.xapi.attach import attach_to_dom0, detach
from v2x.simulators.xapi.failure import ApiError, internal
from v2x.simulators.xapi.transfer import access, encode
from v2x.simulators.xapi.transfer.request import Request

if TYPE_CHECKING:
    from v2x.simulators.xapi.transfer.connection import Connection

_TYPES = {"raw": "application/octet-stream", "vhd": "application/vhd", "tar": "application/x-tar"}
VHD_LIMIT_BYTES = 2040 * 1024**3
_SENDERS = {"raw": encode.send_raw, "vhd": encode.send_vhd, "tar": encode.send_tar}


def handle(connection: "Connection", request: Request) -> None:
    state = connection.state
    session = access.refuse_strangers(connection, request, "http/get_export_raw_vdi")
    if session is None:
        return
    try:
        task = access.task_of(connection, request, session, "Exporting raw VDI")
        vdi = access.found(state, "VDI", request.query.get("vdi", ""))
    except ApiError:
        connection.page(500)
        return
    if access.redirect(connection, request, state.store.get("VDI", vdi, "SR")):
        access.forget_own_task(state, request, task)
        return
    format_ = request.query.get("format", "raw").lower()
    if format_ not in _TYPES:
        tasks.fail(state, task, internal(f"Unknown format {request.query['format']}"))
        connection.page(404)
        return
    _send(connection, task, vdi, format_)


def _send(connection: "Connection", task: str, vdi: str, format_: str) -> None:
    state = connection.state
    uuid = state.store.get("VDI", vdi, "uuid")
    answer = {
        "connection": "close",
        "task-id": task,
        "content-type": _TYPES[format_],
        "content-disposition": f'attachment; filename="{uuid}.{format_}"',
    }
    connection.send(200, answer, length=False)
    try:
        if format_ == "vhd" and state.volume(vdi).size > VHD_LIMIT_BYTES:
            raise ApiError("VDI_TOO_LARGE", vdi, str(VHD_LIMIT_BYTES))
        vbd = attach_to_dom0(state, vdi, "RO", connection.host)
    except ApiError as error:
        tasks.fail(state, task, error)
        connection.sock.sendall(b"HTTP/1.1 500 Internal Server Error\r\n\r\n")
        return
    try:
        _SENDERS[format_](state.volume(vdi), connection.sock.sendall)
    except OSError as error:
        tasks.fail(state, task, ApiError("VDI_IO_ERROR", f"connection lost: {error}"))
    else:
        tasks.succeed(state, task, None)
    finally:
        detach(state, vbd)
