# SPDX-License-Identifier: Apache-2.0
"""Carries out a call with the checks in the order of xapi: gen_server.ml, server_helpers.ml."""

import contextlib
import threading
from typing import Any

import v2x.simulators.xapi.calls  # noqa: F401 - registers the calls
from v2x.simulators.xapi import generic, tasks
from v2x.simulators.xapi.datamodel import NULL, Message
from v2x.simulators.xapi.failure import ApiError, AsyncRefused, handle_invalid, internal
from v2x.simulators.xapi.sessions import Session
from v2x.simulators.xapi.state import CALLS, Context, PoolState
from v2x.simulators.xapi.wire import Decoder, check_text, to_string

_ON_MEMBERS = frozenset(
    {
        *("session.slave_local_login_with_password", "session.local_logout", "host.is_in_emergency_mode"),
        "pool.emergency_transition_to_master",
    }
)
"""Calls that a member answers itself."""

_LOOKS = ("get_", "assert_", "compute_", "list_", "query_")


def dispatch(state: PoolState, host: str, name: str, params: list[Any], *, string_dates: bool = False) -> Any:
    """The value of call `name` made on `host`; ApiError when it fails, AsyncRefused for an `Async.` there is not."""
    check_text(params)
    wants_task = name.startswith("Async.")
    plain_name = name.removeprefix("Async.")
    if plain_name in ("system.listMethods", "system_listMethods"):
        return sorted(m.full_name for m in state.model.calls.values())
    message = state.model.calls.get(plain_name.replace(".", "_"))
    if message is None:
        raise ApiError("MESSAGE_METHOD_UNKNOWN", name)
    if wants_task and not message.is_async:
        raise AsyncRefused(f"{message.full_name} has no asynchronous form")
    session_ref, given = _counted(message, params)
    args = _decoded(state, message, given, string_dates)
    session = _session(state, host, message, session_ref)
    if session is not None:
        _check_role(state, message, session, args)
    context = Context(state, host, session)
    if wants_task:
        return _start_task(context, message, args)
    return carry_out(context, message, args)


def _counted(message: Message, params: list[Any]) -> tuple[Any, list[Any]]:
    given = params if message.no_session else params[1:]
    received = len(params) if message.no_session else len(params) - 1
    if not message.least_params <= received <= len(message.params):
        raise ApiError("MESSAGE_PARAMETER_COUNT_MISMATCH", message.full_name, len(message.params), received)
    return (NULL if message.no_session else params[0]), given


def _decoded(state: PoolState, message: Message, given: list[Any], string_dates: bool) -> list[Any]:
    decoder = Decoder(state.model, string_dates=string_dates)
    args = [decoder.decode(p.type, v) for p, v in zip(message.params, given, strict=False)]
    for param in message.params[len(given) :]:
        default = param.default
        args.append(list(default) if isinstance(default, list) else default)
    return args


def _session(state: PoolState, host: str, message: Message, ref: Any) -> Session | None:
    if message.no_session:
        return None
    session = state.sessions.check(to_string(ref))
    if host != state.master and message.full_name not in _ON_MEMBERS:
        raise host_is_slave(state)
    return session


def host_is_slave(state: PoolState) -> ApiError:
    return ApiError("HOST_IS_SLAVE", state.store.get("host", state.master, "address"))


def _check_role(state: PoolState, message: Message, session: Session, args: list[Any]) -> None:
    role, permission = message.role, message.full_name
    if message.pool_internal:
        raise ApiError("RBAC_PERMISSION_DENIED", permission.lower(), "No permission in user session.")
    if message.key_roles and len(args) > 1 and isinstance(args[1], str):
        for pattern, least in message.key_roles.items():
            exact = args[1] == pattern
            if exact or (pattern.endswith("*") and args[1].startswith(pattern[:-1])):
                role, permission = least, f"{permission}/key:{pattern}"
                break
    state.sessions.assert_role(session, permission, role)


def _has_effect(message: Message) -> bool:
    if message.kind in ("getter", "implicit") or message.cls == "event":
        return False
    return not message.name.startswith(_LOOKS)


def _refs(args: list[Any]) -> tuple[str, ...]:
    found: list[str] = []
    for arg in args:
        inner = arg.values() if isinstance(arg, dict) else arg if isinstance(arg, list) else (arg,)
        found.extend(a for a in inner if isinstance(a, str) and a.startswith("OpaqueRef:") and a != NULL)
    return tuple(found)


def carry_out(context: Context, message: Message, args: list[Any]) -> Any:
    """The call itself, with what it did written to the ledger."""
    name = message.full_name
    try:
        value = _run(context, message, args)
    except ApiError as error:
        if _has_effect(message):
            context.state.ledger.record_call(name, _refs(args), error=tuple(error.description))
        raise
    if _has_effect(message):
        secret = message.cls == "session"
        told = value if isinstance(value, str) and value.startswith("OpaqueRef:") and not secret else ""
        context.state.ledger.record_call(name, _refs(args), told)
    return value


def _run(context: Context, message: Message, args: list[Any]) -> Any:
    name = message.full_name
    if context.state.faults.take("busy", name, name.replace(".", "_")) is not None:
        ref = next(iter(_refs(args)), NULL)
        raise ApiError("OTHER_OPERATION_IN_PROGRESS", message.cls, ref, message.name, NULL)
    entry = CALLS.get(name)
    lock = contextlib.nullcontext() if entry is not None and entry.unlocked else context.store.lock
    with lock:
        _assert_there(context, message, args)
        if entry is not None:
            return entry.handler(context, *args)
        return generic.carry_out(context, message, args)


def _assert_there(context: Context, message: Message, args: list[Any]) -> None:
    """HANDLE_INVALID when the object that the call is made on is gone."""
    first = message.params[0].type if message.params else None
    if first is not None and first.kind == "ref" and not context.store.exists(first.name, args[0]):
        raise handle_invalid(first.name, args[0])


def _start_task(context: Context, message: Message, args: list[Any]) -> str:
    state = context.state
    task = tasks.create(state, f"Async.{message.full_name}", session=context.session_ref, host=context.host)

    def work() -> None:
        try:
            value = carry_out(Context(state, context.host, context.session, task), message, args)
        except ApiError as error:
            tasks.fail(state, task, error)
        except Exception as error:  # as in xapi, what nobody foresaw is INTERNAL_ERROR in the task
            tasks.fail(state, task, internal(repr(error)))
            raise
        else:
            tasks.succeed(state, task, value)

    threading.Thread(target=work, name=f"Async.{message.full_name}", daemon=True).start()
    return task
