# SPDX-License-Identifier: Apache-2.0
"""Accounts, sessions and roles (xapi: xapi_session.ml, gen_server.ml, server_helpers.ml)."""

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from v2x.simulators.xapi.datamodel import Datamodel, DateTime, utc_now
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.faults import Settings
from v2x.simulators.xapi.roles import permissions_of
from v2x.simulators.xapi.store import Store

_SHOWN_EVERY = 600.0
"""`last_active` of a session record is brought up to date at most once in this many seconds."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the pool: root is the local superuser, who may do everything.

    `permissions` are exactly those that the account has, whatever its role: no pool has such accounts, and a test that
    asks which permissions suffice has.
    """

    name: str
    password: str = field(repr=False)
    role: str = "pool-admin"
    superuser: bool = False
    permissions: frozenset[str] | None = None


@dataclass(slots=True)
class Session:
    ref: str = field(repr=False)
    account: Account
    originator: str
    last_active: float
    shown_active: float
    classes: set[str] = field(default_factory=set)
    """What event.register has named, for event.next; `told_upto` is the generation it has been told of."""
    told_upto: int = 0


class Sessions:
    """Who is logged in. A session is good on every host of the pool."""

    def __init__(
        self,
        model: Datamodel,
        store: Store,
        settings: Settings,
        accounts: list[Account],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], DateTime] = utc_now,
    ) -> None:
        self._model = model
        self._store = store
        self._settings = settings
        self.accounts = {a.name: a for a in accounts}
        self.asked: dict[str, set[str]] = {}
        """Account to the permissions that its calls have asked for, in lower case."""
        self._open: dict[str, Session] = {}
        self._clock = clock
        self._now = now

    def authenticate(self, user: str, password: str) -> Account | None:
        account = self.accounts.get(user)
        good = account is not None and hmac.compare_digest(account.password.encode(), password.encode())
        return account if good else None

    def open(self, account: Account, originator: str, host: str, values: dict[str, object]) -> str:
        """A new session record; the oldest of the originator (root) or of the user goes when there are too many."""
        with self._store.lock:
            if account.superuser:
                limit = self._settings.sessions_per_originator
                mine = [s for s in self._open.values() if s.account.superuser and s.originator == originator]
            else:
                limit = self._settings.sessions_per_user
                mine = [s for s in self._open.values() if s.account.name == account.name]
            for session in sorted(mine, key=lambda s: s.last_active)[: max(len(mine) + 1 - limit, 0)]:
                self.close(session.ref)
            record = {
                "this_host": host,
                "pool": False,
                "is_local_superuser": account.superuser,
                "auth_user_name": account.name,
                "originator": originator,
                "rbac_permissions": [] if account.superuser else sorted(self._held(account)),
            }
            ref = self._store.add("session", {**record, **values})
            self._open[ref] = Session(ref, account, originator, self._clock(), self._clock())
            return ref

    def find(self, ref: str) -> Session | None:
        """The live session `ref`, its idle time reset; None when there is none."""
        with self._store.lock:
            self.collect()
            session = self._open.get(ref)
            if session is not None:
                session.last_active = self._clock()
                if session.last_active - session.shown_active >= _SHOWN_EVERY and self._store.exists("session", ref):
                    session.shown_active = session.last_active
                    self._store.set("session", ref, last_active=self._now())
            return session

    def check(self, ref: str) -> Session:
        session = self.find(ref)
        if session is None:
            raise ApiError("SESSION_INVALID", ref)
        return session

    def collect(self) -> None:
        """Ends idle sessions, except those with a pending task."""
        limit = self._clock() - self._settings.session_idle
        idle = [s for s in self._open.values() if s.last_active < limit]
        if idle:
            busy = {self._store.get("task", t, "session") for t in self._store.find("task", status="pending")}
            for session in idle:
                if session.ref not in busy:
                    self.close(session.ref)

    def close(self, ref: str) -> None:
        with self._store.lock:
            if self._open.pop(ref, None) is not None and self._store.exists("session", ref):
                self._store.remove("session", ref)

    def expire_all(self) -> int:
        """Ends every session now; returns how many there were."""
        with self._store.lock:
            refs = list(self._open)
            for ref in refs:
                self.close(ref)
            return len(refs)

    def _held(self, account: Account) -> frozenset[str]:
        return permissions_of(self._model, account.role) if account.permissions is None else account.permissions

    def assert_role(self, session: Session, permission: str, role: str) -> None:
        """RBAC_PERMISSION_DENIED unless the session's role is at least `role`, or holds the permission by itself."""
        account, name = session.account, permission.lower()
        self.asked.setdefault(account.name, set()).add(name)
        if account.superuser:
            return
        ladder = self._model.roles
        allowed = ladder[: ladder.index(role) + 1] if role in ladder else ()
        if account.role not in allowed if account.permissions is None else name not in account.permissions:
            text = f"No permission in user session. (Roles with this permission: {', '.join(allowed)})"
            raise ApiError("RBAC_PERMISSION_DENIED", name, text)
