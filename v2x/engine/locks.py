# SPDX-License-Identifier: Apache-2.0
"""One process for one executor: a file lock beside SQLite, an advisory lock of PostgreSQL where workers share a state.

Two processes under one executor id would both continue its rows; so the lock is held as long as the process lives, and
whoever gets the lock of another executor knows that it is dead.
"""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import sqlalchemy as sa

from v2x.engine import tables
from v2x.engine.store import Store, lock_number
from v2x.errors import Conflict

_log = logging.getLogger("v2x.engine")
LOST_EXIT = 70
"""sysexits.h EX_SOFTWARE: a worker that lost its lock ends at once, since another one may run its rows by now."""


class Lock(Protocol):
    def dead(self) -> list[str]:
        """Ids of workers whose process is gone; each stays locked for us until `buried`."""
        ...

    def buried(self, worker: str) -> None: ...

    def release(self) -> None: ...


class FolderLock:
    """The lock of a state folder."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "lock").open("a+", encoding="ascii")
        (folder / "lock").chmod(0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise Conflict(
                f"process {holder} runs the batches of {folder}",
                code="STATE-LOCKED",
                hint="v2x batch status shows them; wait, stop that process, or choose another --state",
            ) from None
        self._file.seek(0)
        self._file.truncate()
        self._file.write(str(os.getpid()))
        self._file.flush()

    def dead(self) -> list[str]:
        return []

    def buried(self, worker: str) -> None: ...

    def release(self) -> None:
        self._file.close()


_SILENCE: Final = {
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""When the server gives up a worker behind a dead line: after the worker itself has (store.SILENCE), and has ended."""


class ServerLock:
    """A worker's lock on PostgreSQL, watched: when its connection is gone, so is this process."""

    def __init__(
        self, store: Store, worker: str, *, seconds: float = 0.25, end: Callable[[int], object] = os._exit
    ) -> None:
        self._store, self._worker, self._seconds, self._end = store, worker, seconds, end
        self._connection = store.connection()
        self._connection.detach()  # closed for good at the end, instead of going back to a pool with its lock
        for setting, value in _SILENCE.items():
            self._connection.execute(sa.select(sa.func.set_config(setting, value, False)))
        self._connection.commit()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        if not self._try(worker):
            self._connection.close()
            raise Conflict(f"worker {worker} runs already", code="STATE-LOCKED", hint="start each worker once")
        threading.Thread(target=self._watch, name="v2x-lock", daemon=True).start()

    def _try(self, worker: str) -> bool:
        with self._lock:
            number = lock_number(f"v2x worker {worker}")
            found = self._connection.execute(sa.select(sa.func.pg_try_advisory_lock(number))).scalar_one()
            self._connection.commit()
        return bool(found)

    def _watch(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                with self._lock:
                    self._connection.execute(sa.text("SET statement_timeout = 5000"))
                    self._connection.execute(sa.select(1))
                    self._connection.commit()
            except sa.exc.SQLAlchemyError:
                if not self._stop.is_set():
                    _log.error("the state database is out of reach: this worker ends, others continue its machines")
                    self._end(LOST_EXIT)
                return

    def dead(self) -> list[str]:
        with self._store.reading() as connection:
            known = connection.execute(sa.select(tables.workers.c.id)).scalars().all()
        return [worker for worker in known if worker != self._worker and self._try(worker)]

    def buried(self, worker: str) -> None:
        with self._lock:
            number = lock_number(f"v2x worker {worker}")
            self._connection.execute(sa.select(sa.func.pg_advisory_unlock(number)))
            self._connection.commit()

    def release(self) -> None:
        self._stop.set()
        with self._lock:
            self._connection.close()


def wait_for(condition: Callable[[], bool], seconds: float, *, step: float = 0.05) -> bool:
    """Whether `condition` came true within `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(step)
    return True
