# SPDX-License-Identifier: Apache-2.0
"""Accounts with their privileges, and the sessions that cookies, REST tokens and Basic headers stand for."""

import hmac
import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pyVmomi import vim

from v2x.simulators.vsphere.faults import Settings

READ_ONLY = frozenset({"System.Anonymous", "System.View", "System.Read"})
"""What the role Read-only holds."""

MIGRATION = READ_ONLY | {
    "VirtualMachine.State.CreateSnapshot",
    "VirtualMachine.State.RemoveSnapshot",
    "VirtualMachine.State.RenameSnapshot",
    "VirtualMachine.Interact.PowerOff",
    "VirtualMachine.Interact.PowerOn",
    "VirtualMachine.Provisioning.DiskRandomRead",
    "VirtualMachine.Provisioning.GetVmFiles",
    "VirtualMachine.Config.ChangeTracking",
    "VirtualMachine.Config.Annotation",
    "VirtualMachine.Config.Rename",
    "VirtualMachine.Config.EditDevice",
    "Datastore.Browse",
    "Datastore.FileManagement",
    "VApp.Export",
    "Host.Config.AutoStart",
}
"""The privileges that a tool which migrates machines asks for."""

_LOGIN_TEXT = "Cannot complete login due to an incorrect user name or password."
_LOCKED_TEXT = "User account is locked. Please contact your administrator."


@dataclass(slots=True)
class Account:
    """A user. `privileges` are those the account holds everywhere; None is the administrator's all.

    `granted` are more of them by the id of an object, there and on all that is in it.
    """

    user: str
    password: str = field(repr=False)
    privileges: frozenset[str] | None = None
    granted: dict[str, frozenset[str]] = field(default_factory=dict)
    wrong: int = 0
    locked_until: float = 0.0

    def may(self, privilege: str | None, places: Iterable[str] = ()) -> bool:
        """`places` are the ids of an object and of all that it is in."""
        if self.privileges is None or privilege in (None, "") or privilege in self.privileges:
            return True
        return any(privilege in self.granted.get(place, ()) for place in places)


@dataclass(slots=True)
class Session:
    """One cookie. Without an account nobody has logged in with it yet. Times are those of the monotonic clock."""

    token: str
    key: str
    issued: float
    active: float
    account: Account | None = None
    login_time: datetime | None = None
    calls: int = 0
    agent: str = ""
    objects: set[str] = field(default_factory=set)
    """Views, filters and collectors that end with the session."""


class Sessions:
    """All sessions; every method may be called from any thread."""

    def __init__(self, settings: Settings, accounts: Sequence[Account]) -> None:
        self._settings = settings
        self._accounts = {a.user.casefold(): a for a in accounts}
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def visit(self, token: str, agent: str = "") -> Session:
        """The session of a cookie, or a new one without an account; it counts as active now."""
        now = time.monotonic()
        with self._lock:
            session = self._sessions.get(token)
            if session is not None and session.account and now - session.active > self._settings.session_idle:
                del self._sessions[token]
                session = None
            if session is None:
                session = self._new(agent)
            session.active = now
            session.calls += 1
            return session

    def _new(self, agent: str = "") -> Session:
        now = time.monotonic()
        token = secrets.token_hex(20)
        key = f"52{secrets.token_hex(15)}"
        session = self._sessions[token] = Session(token, key, now, now, agent=agent)
        return session

    def login(self, session: Session, user: str, password: str) -> None:
        """Binds an account to a session. Raises InvalidLogin, also for a locked account."""
        session.account = self._check(user, password)
        session.issued = time.monotonic()
        session.login_time = datetime.now(UTC)

    def _check(self, user: str, password: str) -> Account:
        now = time.monotonic()
        with self._lock:
            account = self._accounts.get(user.casefold())
            if account is None:
                raise vim.fault.InvalidLogin(msg=_LOGIN_TEXT)
            if account.locked_until > now:
                raise vim.fault.InvalidLogin(msg=_LOCKED_TEXT)
            if not hmac.compare_digest(account.password.encode(), password.encode()):
                account.wrong += 1
                if account.wrong >= self._settings.lock_after:
                    account.locked_until, account.wrong = now + self._settings.lock_seconds, 0
                raise vim.fault.InvalidLogin(msg=_LOGIN_TEXT)
            account.wrong = 0
            return account

    def by_password(self, user: str, password: str) -> Session:
        """A new logged-in session, as a Basic header or the REST API makes one. Raises InvalidLogin."""
        account = self._check(user, password)
        with self._lock:
            session = self._new()
        session.account, session.login_time = account, datetime.now(UTC)
        return session

    def known(self, token: str) -> Session | None:
        """The session of a cookie or REST token, or None; it is not made and does not become younger."""
        with self._lock:
            return self._sessions.get(token)

    def for_files(self, token: str) -> Session | None:
        """The logged-in session of a cookie that may still open `/folder`."""
        session = self.known(token)
        if session is None or session.account is None:
            return None
        return session if time.monotonic() - session.issued <= self._settings.cookie_life else None

    def active(self, key: str) -> bool:
        with self._lock:
            return any(s.key == key and s.account for s in self._sessions.values())

    def end(self, session: Session) -> None:
        with self._lock:
            self._sessions.pop(session.token, None)
            session.account = None

    def expire_all(self) -> int:
        """Ends every session now; returns how many people were logged in."""
        with self._lock:
            ended, self._sessions = list(self._sessions.values()), {}
        logged_in = sum(s.account is not None for s in ended)
        for session in ended:
            session.account = None
        return logged_in

    def count(self) -> int:
        """How many sessions are logged in."""
        with self._lock:
            return sum(s.account is not None for s in self._sessions.values())

    def user_session(self, session: Session) -> Any:
        """The session as the API shows it."""
        account = session.account
        return vim.UserSession(
            key=session.key,
            userName=account.user if account else "",
            fullName=account.user if account else "",
            loginTime=session.login_time or datetime.now(UTC),
            lastActiveTime=datetime.now(UTC),
            locale="en",
            messageLocale="en",
            extensionSession=False,
            ipAddress="127.0.0.1",
            userAgent=session.agent,
            callCount=session.calls,
        )
