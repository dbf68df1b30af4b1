# SPDX-License-Identifier: Apache-2.0
"""GET /export and /export_metadata: a VM as an XVA stream, its end is the end of the connection.

Facts: xapi, export.ml, stream_vdi.ml (xapi.md 6).
"""

import contextlib
from typing import TYPE_CHECKING

from v2x.simulators.xapi import tasks
from v2x.simulators.xapi.attach import attach_to_dom0, detach
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.operations import assert_allowed
from v2x.simulators.xapi.state import PoolState
from v2x.simulators.xapi.transfer import access
from v2x.simulators.xapi.transfer.packing import Packer, packer_for
from v2x.simulators.xapi.transfer.request import Request
from v2x.simulators.xapi.transfer.tarball import END, member
from v2x.simulators.xapi.transfer.xva_document import Document, document_of
from v2x.simulators.xapi.volumes import Volume

if TYPE_CHECKING:
    from v2x.simulators.xapi.transfer.connection import Connection

CHUNK_BYTES = 1024 * 1024
_ZEROS = bytes(CHUNK_BYTES)
_ERROR_TEXT = b"HTTP/1.1 500 Internal Server Error\r\n\r\n"


def handle(connection: "Connection", request: Request) -> None:
    _Export(connection, request, disks=True).run()


def handle_metadata(connection: "Connection", request: Request) -> None:
    _Export(connection, request, disks=False).run()


class _Export:
    """One export, with the disks or without."""

    def __init__(self, connection: "Connection", request: Request, *, disks: bool) -> None:
        self._connection = connection
        self._state = connection.state
        self._request = request
        self._with_disks = disks

    def run(self) -> None:
        connection, request, state = self._connection, self._request, self._state
        kind = "export" if self._with_disks else "export_metadata"
        session = access.refuse_strangers(connection, request, f"http/get_{kind}")
        if session is None:
            return
        try:
            task = access.task_of(connection, request, session, "Exporting VM")
        except ApiError:
            connection.page(500)
            return
        try:
            vm = access.found(state, "VM", request.query.get("ref", request.query.get("uuid", "")))
            packer = packer_for(request.query.get("use_compression", ""), connection.sock)
            if self._with_disks:
                assert_allowed(state, vm, "export")
            else:
                assert_allowed(state, vm, "metadata_export")
        except ApiError as error:
            tasks.fail(state, task, error)
            connection.page(500)
            return
        if self._elsewhere(vm):
            packer.abandon()
            access.forget_own_task(state, request, task)
            return
        self._answer(vm, task, packer)

    def _elsewhere(self, vm: str) -> bool:
        """Whether another host was named, as this one does not reach all the disks."""
        if not self._with_disks:
            return False
        disks = document_of(self._state, vm).disks.values()
        srs = {self._state.store.get("VDI", vdi, "SR") for vdi in disks}
        return any(access.redirect(self._connection, self._request, sr) for sr in sorted(srs))

    def _answer(self, vm: str, task: str, packer: Packer) -> None:
        state, connection = self._state, self._connection
        answer = {
            "connection": "close",
            "task-id": task,
            "content-type": "application/octet-stream",
            "content-disposition": 'attachment; filename="export.xva"',
        }
        attached: list[str] = []
        try:
            connection.send(200, answer, length=False)
            document, attached = self._prepared(vm, task)
            packer.send(member("ova.xml", document.xml))
            if self._with_disks:
                self._disks(document, packer, task)
            packer.send(END)
            packer.close()
        except ApiError as error:
            packer.abandon()
            tasks.fail(state, task, error)
            with contextlib.suppress(OSError):
                connection.sock.sendall(_ERROR_TEXT)
        except OSError as error:
            packer.abandon()
            tasks.fail(state, task, ApiError("VDI_IO_ERROR", f"connection lost: {error}"))
        else:
            tasks.succeed(state, task, None)
        finally:
            for vbd in attached:
                detach(state, vbd)
            if self._with_disks:
                _mark(state, vm, task, exporting=False)

    def _prepared(self, vm: str, task: str) -> tuple[Document, list[str]]:
        state, attached = self._state, list[str]()
        with state.store.lock:
            preserve = self._request.query.get("preserve_power_state") == "true"
            document = document_of(state, vm, preserve_power_state=preserve)
            if self._with_disks:
                _mark(state, vm, task, exporting=True)
                try:
                    for vdi in document.disks.values():
                        attached.append(attach_to_dom0(state, vdi, "RO", self._connection.host))
                except ApiError:
                    for vbd in attached:
                        detach(state, vbd)
                    raise
            return document, attached

    def _disks(self, document: Document, packer: Packer, task: str) -> None:
        """The disks by the bytes of their ids."""
        volumes = {ident: self._state.volume(vdi) for ident, vdi in document.disks.items()}
        total, done = sum(v.size for v in volumes.values()), 0
        for ident in sorted(volumes, key=str.encode):
            send_chunks(ident, volumes[ident], packer)
            done += volumes[ident].size
            tasks.progress(self._state, task, done / total)


def _mark(state: PoolState, vm: str, task: str, *, exporting: bool) -> None:
    with state.store.lock:
        if state.store.exists("VM", vm):
            held = state.store.get("VM", vm, "current_operations")
            held.pop(task, None)
            state.store.set("VM", vm, current_operations=held | ({task: "export"} if exporting else {}))


def send_chunks(ident: str, volume: Volume, packer: Packer) -> None:
    """1 MiB chunks, each with its XXH64; those of zeros are left out, but never the first and the last."""
    import xxhash

    count = -(-volume.size // CHUNK_BYTES)
    for number in range(count):
        data = volume.read(number * CHUNK_BYTES, min(CHUNK_BYTES, volume.size - number * CHUNK_BYTES))
        if 0 < number < count - 1 and data == _ZEROS:
            continue
        name = f"{ident}/{number:08d}"
        digest = xxhash.xxh64_hexdigest(data, seed=0).upper().encode()
        packer.send(member(name, data) + member(f"{name}.xxhash", digest))
