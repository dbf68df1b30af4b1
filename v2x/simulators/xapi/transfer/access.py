# SPDX-License-Identifier: Apache-2.0
"""What the transfer handlers share: who asks, which task tells the outcome, and where the SR is.

Facts: xapi, xapi_http.ml, import_raw_vdi.ml.
"""

import base64
import binascii
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from v2x.simulators.xapi import tasks
from v2x.simulators.xapi.attach import plugged_hosts
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.sessions import Session
from v2x.simulators.xapi.state import PoolState
from v2x.simulators.xapi.transfer.request import Request, cookies_of

if TYPE_CHECKING:
    from v2x.simulators.xapi.transfer.connection import Connection


def session_of(state: PoolState, request: Request) -> Session | None:
    """The session named in the query or a cookie, or opened by basic authentication; None means 401."""
    ref = request.query.get("session_id")
    if ref is None and "cookie" in request.headers:
        cookies = cookies_of(request.headers["cookie"], semicolons=state.profile.semicolon_cookies)
        ref = cookies.get("session_id")
    if ref is not None:
        return state.sessions.find(ref)
    kind, _, packed = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(packed).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    account = state.sessions.authenticate(user, password)
    if account is None:
        state.wait(state.settings.login_delay)
        return None
    return state.sessions.find(state.sessions.open(account, "basic-auth", state.master, {}))


def refuse_strangers(connection: "Connection", request: Request, permission: str) -> Session | None:
    """The session of the request; None after 401 or 403 was sent."""
    state = connection.state
    session = session_of(state, request)
    if session is None:
        connection.page(401, {"www-authenticate": 'Basic realm="XAPI HTTP server"'})
        return None
    try:
        state.sessions.assert_role(session, permission, "vm-admin")
    except ApiError as error:
        if "task_id" in request.query:
            tasks.fail(state, request.query["task_id"], error)
        connection.page(403)
        return None
    return session


def upload_session(connection: "Connection", request: Request, permission: str) -> Session | None:
    """The session of an upload; None after 401, 403 or the 302 of an armed fault was sent."""
    faults = connection.state.faults
    if faults.take("unauthorized") is not None:
        connection.page(401)
        return None
    session = refuse_strangers(connection, request, permission)
    fault = faults.take("redirect") if session is not None else None
    if fault is not None:
        send_redirect(connection, request, fault.address)
        return None
    return session


def task_of(connection: "Connection", request: Request, session: Session, label: str) -> str:
    """The client's task, or a new one. HANDLE_INVALID when the client's is not there."""
    state = connection.state
    ref = request.query.get("task_id")
    if ref is not None:
        state.store.get("task", ref, "status")
        return ref
    parent = request.query.get("subtask_of", NULL)
    return tasks.create(state, label, session=session.ref, host=connection.host, parent=parent)


def forget_own_task(state: PoolState, request: Request, task: str) -> None:
    """After a redirect: a task that the server made itself goes, the client's stays untouched."""
    if "task_id" not in request.query:
        tasks.vanish(state, task)


def found(state: PoolState, cls: str, named: str) -> str:
    """A record by reference or uuid. UUID_INVALID when it is neither."""
    return named if state.store.exists(cls, named) else state.store.by_uuid(cls, named)


def redirect(connection: "Connection", request: Request, sr: str) -> bool:
    """Sends 302 to a host that can reach the SR when this one cannot; whether it did."""
    state = connection.state
    hosts = plugged_hosts(state, sr)
    if connection.host in hosts or not hosts:
        return False
    chosen = state.master if state.master in hosts else hosts[0]
    send_redirect(connection, request, state.store.get("host", chosen, "address"))
    return True


def send_redirect(connection: "Connection", request: Request, address: str) -> None:
    where = f"https://{address}{request.path}?{request.target_query}"
    connection.page(302, {"location": where})


def cancellation(state: PoolState, task: str) -> Callable[[], None]:
    """A check that raises TASK_CANCELLED when the task is to be cancelled; it looks every `cancel_poll` seconds."""
    looked = time.monotonic()

    def look() -> None:
        nonlocal looked
        if time.monotonic() - looked >= state.settings.cancel_poll:
            looked = time.monotonic()
            if tasks.cancelling(state, task):
                raise ApiError("TASK_CANCELLED", task)

    return look
