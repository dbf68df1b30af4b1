# SPDX-License-Identifier: Apache-2.0
"""Keeps a row from being started for some seconds, while something else needs its disks on the target left alone.

A hold is a lease: as long as its process lives it is renewed, and one that was killed lets the row go on soon after.
So whoever holds a row does not rely on it alone, but looks afterwards whether the row was started meanwhile.
"""

import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType

import sqlalchemy as sa

from v2x.engine import tables
from v2x.engine.store import Store
from v2x.errors import Conflict

LEASE = timedelta(seconds=10)
_RENEWED_SECONDS = 2.0
_ASKED_SECONDS = 0.5
_of = tables.holds


def held(connection: sa.Connection, now: datetime) -> set[str]:
    """Ids of rows that must not be started now."""
    return set(connection.execute(sa.select(_of.c.row).where(_of.c.until > now.isoformat())).scalars())


class Hold:
    """A context manager that holds the row `row` (in every batch that has it).

    One that was killed is outlasted; Conflict where another one goes on holding it.
    """

    def __init__(
        self,
        store: Store,
        row: str,
        name: str,
        now: Callable[[], datetime],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store, self._row, self._name, self._now, self._sleep = store, row, name, now, sleep
        self._holder = uuid.uuid4().hex
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="v2x-hold", daemon=True)

    def __enter__(self) -> "Hold":
        left = LEASE.total_seconds() + _RENEWED_SECONDS
        while not self._taken():
            if left <= 0:
                raise Conflict(
                    f"another v2x copies the disks of {self._name} just now", hint="wait for it to end", code="HELD"
                )
            self._sleep(_ASKED_SECONDS)
            left -= _ASKED_SECONDS
        self._thread.start()
        return self

    def _taken(self) -> bool:
        with self._store.exclusive("dispatch") as connection:
            if self._row in held(connection, self._now()):
                return False
            connection.execute(_of.delete().where(_of.c.row == self._row))
            connection.execute(_of.insert().values(row=self._row, holder=self._holder, until=self._until()))
        return True

    def __exit__(
        self, _kind: type[BaseException] | None, _value: BaseException | None, _where: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        with self._store.exclusive("dispatch") as connection:
            connection.execute(_of.delete().where(_of.c.row == self._row, _of.c.holder == self._holder))

    def _renew(self) -> None:
        while not self._ended.wait(_RENEWED_SECONDS):
            mine = (_of.c.row == self._row) & (_of.c.holder == self._holder)
            with self._store.writing() as connection:
                connection.execute(_of.update().where(mine).values(until=self._until()))

    def _until(self) -> str:
        return (self._now() + LEASE).isoformat()
