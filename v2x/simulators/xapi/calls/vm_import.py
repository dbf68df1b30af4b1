# SPDX-License-Identifier: Apache-2.0
"""VM.import: the server fetches an XVA by itself (xapi: xapi_vm.ml import). The rules are those of PUT /import."""

import contextlib
import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import IO

from v2x.simulators.xapi import tasks
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import Context, call
from v2x.simulators.xapi.transfer.body import Body
from v2x.simulators.xapi.transfer.import_xva import Intake

_SECONDS = 30.0
_REDIRECTS = 5


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = _REDIRECTS


class _Answer:
    """The body of an answer, read as from a socket."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def recv_into(self, view: memoryview, /) -> int:
        try:
            return self._file.readinto(view)  # type: ignore[attr-defined, no-any-return]
        except http.client.HTTPException as error:
            raise OSError(str(error)) from None


@contextlib.contextmanager
def _fetched(url: str) -> Iterator[http.client.HTTPResponse]:
    """The answer to a GET, a few redirects followed. A server that is not there or refuses is IMPORT_ERROR."""
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ApiError("INVALID_VALUE", "url", url)
    opener = urllib.request.build_opener(_Redirects)
    opener.addheaders = [("User-Agent", "xapi")]
    try:
        answer = opener.open(url, timeout=_SECONDS)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ApiError("IMPORT_ERROR", f"{_bare(url)}: {error}") from None
    with answer:
        yield answer


def _bare(url: str) -> str:
    """The URL without user, password and query."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"


@call("VM.import", unlocked=True)
def import_(context: Context, url: str, sr: str, restore: bool, force: bool) -> list[str]:
    """The VMs of the XVA at `url`, their disks on `sr` or on the default SR."""
    state, store = context.state, context.store
    if sr == NULL:
        sr = store.get("pool", state.pool_ref, "default_SR")
        if not store.exists("SR", sr):
            raise ApiError("DEFAULT_SR_NOT_FOUND", sr)
    if store.get("SR", sr, "content_type") == "iso":
        raise ApiError("SR_OPERATION_NOT_SUPPORTED", sr)
    task = context.task
    if task == NULL:  # the records of an import name a task, and a call that is not asynchronous has none that shows
        task = tasks.create(state, "VM.import", session=context.session_ref, host=context.host)
    try:
        with _fetched(url) as answer:
            length = answer.length if answer.length is not None else None
            wire = _Answer(answer)
            body = Body(wire, b"", length, rate=lambda: state.settings.read_rate, stopping=state.stopping)
            return Intake(state, context.host, task, sr, body, restore=restore, force=force).run()
    finally:
        if task != context.task:
            tasks.vanish(state, task)
