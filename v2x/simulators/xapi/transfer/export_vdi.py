# SPDX-License-Identifier: Apache-2.0
"""GET /export_raw_vdi: no length, the end is the end of the connection, success is in the task.

Facts: xapi, export_raw_vdi.ml.
"""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from v2x.simulators.xapi import tasks
from v2x.simulators.xapi.attach import attach_to_dom0, detach
from v2x.simulators.xapi.calls.vdi import VHD_LIMIT_BYTES, disk_format
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError, internal
from v2x.simulators.xapi.transfer import access, encode
from v2x.simulators.xapi.transfer.encode_qcow2 import send_qcow2
from v2x.simulators.xapi.transfer.request import Request

if TYPE_CHECKING:
    from v2x.simulators.xapi.transfer.connection import Connection

_TYPES = {
    "raw": "application/octet-stream",
    "vhd": "application/vhd",
    "tar": "application/x-tar",
    "qcow2": "application/x-qemu-disk",
}
_SENDERS: dict[str, Callable[..., None]] = {
    "raw": encode.send_raw,
    "vhd": encode.send_vhd,
    "tar": encode.send_tar,
    "qcow2": send_qcow2,
}
"""Each takes the volume, where to send, and for vhd and qcow2 the volume to tell the difference from."""
_ERROR_TEXT = b"HTTP/1.1 500 Internal Server Error\r\n\r\n"


def handle(connection: "Connection", request: Request) -> None:
    state = connection.state
    session = access.refuse_strangers(connection, request, "http/get_export_raw_vdi")
    if session is None:
        return
    try:
        task = access.task_of(connection, request, session, "Exporting raw VDI")
        vdi = access.found(state, "VDI", request.query.get("vdi", ""))
        base = access.found(state, "VDI", request.query["base"]) if "base" in request.query else NULL
    except ApiError:
        connection.page(500)
        return
    if access.redirect(connection, request, state.store.get("VDI", vdi, "SR")):
        access.forget_own_task(state, request, task)
        return
    format_ = request.query.get("format", "raw").lower()
    if format_ not in _TYPES or (format_ == "qcow2" and not state.profile.qcow2):
        tasks.fail(state, task, internal(f"Unknown format {request.query['format']}"))
        connection.page(404)
        return
    _send(connection, task, vdi, base, format_)


def _check(connection: "Connection", vdi: str, base: str, format_: str) -> None:
    """What only shows once the 200 is out."""
    state = connection.state
    if state.store.get("VDI", vdi, "type") == "cbt_metadata":
        raise ApiError("VDI_INCOMPATIBLE_TYPE", vdi, "cbt_metadata")
    size = state.store.get("VDI", vdi, "virtual_size")
    if format_ == "vhd" and size > VHD_LIMIT_BYTES:
        raise ApiError("VDI_TOO_LARGE", vdi, VHD_LIMIT_BYTES)
    if base == NULL:
        return
    if format_ not in ("vhd", "qcow2"):
        raise internal(f"a base does not go with format {format_}")
    if format_ == "vhd" and {disk_format(state, vdi), disk_format(state, base)} != {"vhd"}:
        raise internal("Vhd_tool_wrapper: both VDIs must be VHD-backed")


def _send(connection: "Connection", task: str, vdi: str, base: str, format_: str) -> None:
    state = connection.state
    uuid = state.store.get("VDI", vdi, "uuid")
    answer = {
        "connection": "close",
        "task-id": task,
        "content-type": _TYPES[format_],
        "content-disposition": f'attachment; filename="{uuid}.{format_}"',
    }
    connection.send(200, answer, length=False)
    attached: list[str] = []
    try:
        _check(connection, vdi, base, format_)
        for one in (vdi, *([base] if base != NULL else [])):
            attached.append(attach_to_dom0(state, one, "RO", connection.host))
        _stream(connection, vdi, base, format_)
    except ApiError as error:
        tasks.fail(state, task, error)
        with contextlib.suppress(OSError):
            connection.sock.sendall(_ERROR_TEXT)
    except OSError as error:
        tasks.fail(state, task, ApiError("VDI_IO_ERROR", f"connection lost: {error}"))
    else:
        tasks.succeed(state, task, None)
    finally:
        for vbd in attached:
            detach(state, vbd)


def _stream(connection: "Connection", vdi: str, base: str, format_: str) -> None:
    state, send = connection.state, connection.sock.sendall
    lower = [state.volume(base)] if base != NULL else []
    _SENDERS[format_](state.volume(vdi), send, *lower)
