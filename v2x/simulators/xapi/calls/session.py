# SPDX-License-Identifier: Apache-2.0
"""session: login, logout, password (xapi: xapi_session.ml)."""

import dataclasses

from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import Context, call


def _slave(context: Context) -> None:
    state = context.state
    if context.host != state.master:
        raise ApiError("HOST_IS_SLAVE", state.store.get("host", state.master, "address"))


def open_session(context: Context, user: str, password: str, originator: str) -> str:
    """A session for these credentials; SESSION_AUTHENTICATION_FAILED after the forced delay."""
    state = context.state
    account = state.sessions.authenticate(user, password)
    if account is None:
        state.wait(state.settings.login_delay)
        raise ApiError("SESSION_AUTHENTICATION_FAILED", user, "Authentication failure")
    values: dict[str, object] = {"last_active": state.now(), "validation_time": state.now()}
    return state.sessions.open(account, originator, context.host, values)


@call("session.login_with_password", unlocked=True)
def login(context: Context, user: str, password: str, _version: str, originator: str) -> str:
    _slave(context)
    return open_session(context, user, password, originator)


@call("session.slave_local_login_with_password", unlocked=True)
def local_login(context: Context, user: str, password: str) -> str:
    return open_session(context, user, password, "local")


@call("session.logout", "session.local_logout")
def logout(context: Context) -> None:
    context.state.sessions.close(context.session_ref)


@call("session.change_password")
def change_password(context: Context, old: str, new: str) -> None:
    sessions = context.state.sessions
    assert context.session is not None
    name = context.session.account.name
    if sessions.authenticate(name, old) is None:
        raise ApiError("CHANGE_PASSWORD_REJECTED", "Authentication failure")
    sessions.accounts[name] = dataclasses.replace(sessions.accounts[name], password=new)


@call("session.get_all_subject_identifiers")
def subject_identifiers(_context: Context) -> list[str]:
    return []
