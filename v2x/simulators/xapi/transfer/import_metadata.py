# SPDX-License-Identifier: Apache-2.0
"""PUT /import_metadata: the records of an XVA whose disks are on the pool already (xapi: import.ml)."""

import contextlib
from typing import TYPE_CHECKING

from v2x.simulators.xapi import tasks
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError, StreamBroken, StreamEnded
from v2x.simulators.xapi.state import PoolState
from v2x.simulators.xapi.store import Record
from v2x.simulators.xapi.transfer import access
from v2x.simulators.xapi.transfer.archive import close_archive, open_archive
from v2x.simulators.xapi.transfer.body import Body
from v2x.simulators.xapi.transfer.chunks import ChunkReader
from v2x.simulators.xapi.transfer.request import Request
from v2x.simulators.xapi.transfer.xva_objects import Appliance, Creator, import_error, read_appliance

if TYPE_CHECKING:
    from v2x.simulators.xapi.transfer.connection import Connection

_ERROR_TEXT = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TAIL_BYTES = 64 * 1024


class _MetadataCreator(Creator):
    """Finds the disks instead of making them. `mapped`: `vdi:<location>` of the query → the VDI to take."""

    _makes_disks = False

    def __init__(
        self, state: PoolState, appliance: Appliance, task: str, *, restore: bool, force: bool, mapped: dict[str, str]
    ) -> None:
        super().__init__(state, appliance, NULL, task, restore=restore)
        self._mapped = mapped
        self._force = force

    def _disks(self) -> None:
        missing = []
        for ident in self.streamed():
            vdi = self._find(self._appliance.get("VDI", ident))
            if vdi == NULL:
                missing.append(ident)
            else:
                self.made.vdis[ident] = vdi
        if missing and not self._force:
            raise ApiError("IMPORT_ERROR_ATTACHED_DISKS_NOT_FOUND")
        vbds = self._appliance.of("VBD")
        for name in [n for n, record in vbds.items() if record["VDI"] in missing]:
            del vbds[name]

    def _find(self, record: Record) -> str:
        """By the query, else by uuid, else by its place on an SR of the same uuid."""
        store, location = self._store, record["location"]
        if location in self._mapped:
            return access.found(self._state, "VDI", self._mapped[location])
        with contextlib.suppress(ApiError):
            return store.by_uuid("VDI", record["uuid"])
        sr_uuid = self._appliance.get("SR", record["SR"])["uuid"]
        for sr in store.find("SR", uuid=sr_uuid):
            for vdi in store.find("VDI", SR=sr, location=location):
                return vdi
        return NULL


def handle(connection: "Connection", request: Request) -> None:
    state = connection.state
    session = access.upload_session(connection, request, "http/put_import_metadata")
    if session is None:
        return
    try:
        task = access.task_of(connection, request, session, "VM metadata import")
    except ApiError:
        connection.page(500)
        return
    if "transfer-encoding" in request.headers:
        tasks.fail(state, task, ApiError("IMPORT_ERROR_CANNOT_HANDLE_CHUNKED"))
        connection.page(403)
        return
    answer = {"connection": "close", "task-id": task, "content-type": "application/octet-stream"}
    with contextlib.suppress(OSError):
        connection.send(200, answer, length=False)
    try:
        vms = _take_in(connection, request, task)
    except ApiError as error:
        _fail(connection, task, error)
    except StreamEnded:
        _fail(connection, task, ApiError("IMPORT_ERROR_PREMATURE_EOF"))
    except StreamBroken as broken:
        _fail(connection, task, import_error(str(broken)))
    else:
        tasks.succeed(state, task, vms)


def _fail(connection: "Connection", task: str, error: ApiError) -> None:
    tasks.fail(connection.state, task, error)
    with contextlib.suppress(OSError):
        connection.sock.sendall(_ERROR_TEXT)


def _document(connection: "Connection", request: Request) -> bytes:
    state = connection.state
    body = Body(
        connection.sock,
        request.pending,
        request.content_length,
        rate=lambda: state.settings.read_rate,
        stopping=state.stopping,
    )
    source = open_archive(body)
    try:
        reader = ChunkReader(source)
        first = reader.header()
        if first is None or first.name != "ova.xml":
            raise ApiError("IMPORT_ERROR_UNEXPECTED_FILE", "ova.xml", "" if first is None else first.name)
        content = reader.content(first)
        with contextlib.suppress(StreamBroken):
            body.drain(_TAIL_BYTES)
        return content
    finally:
        close_archive(source)


def _take_in(connection: "Connection", request: Request, task: str) -> list[str]:
    """The VMs; in a dry run everything is checked, nothing stays, and each VM is told as NULL."""
    state = connection.state
    appliance = read_appliance(state, _document(connection, request))
    mapped = {k.removeprefix("vdi:"): v for k, v in request.query.items() if k.startswith("vdi:")}
    flags = {name: request.query.get(name) == "true" for name in ("restore", "force", "dry_run")}
    creator = _MetadataCreator(state, appliance, task, restore=flags["restore"], force=flags["force"], mapped=mapped)
    with state.store.lock:
        if flags["dry_run"]:
            creator.check()
            return [NULL for _vm in appliance.of("VM")]
        try:
            creator.create()
        except ApiError:
            creator.undo()
            raise
        return creator.settle()
