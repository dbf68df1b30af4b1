# SPDX-License-Identifier: Apache-2.0
"""The pool on disk: an SQLite database beside the disks, written a moment after each change.

A pool that is killed at any moment comes back with all that was kept by then, which is everything but the last
`DELAY_SECONDS`; each write is one transaction over records and volumes, taken under the lock, so it is consistent.
"""

import contextlib
import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

from v2x.errors import UsageError
from v2x.simulators.xapi.attach import detach, dom0
from v2x.simulators.xapi.state import PoolState

DELAY_SECONDS = 0.1
FORGOTTEN = frozenset({"session", "task", "event"})
"""Classes that a restart of the coordinator's database loses."""
_FORMAT = "v2x-simulated-pool/2"
_TABLES = """
create table if not exists about (name text primary key, value text not null);
create table if not exists record (ref text primary key, class text not null, fields text not null);
create table if not exists volume (uuid text primary key, told text not null);
create table if not exists sr (uuid text primary key, told text not null);
"""


def _damaged(path: Path, error: Exception) -> UsageError:
    return UsageError(f"{path} is no state of a simulated pool: {error}", hint="choose another folder")


class Keeper:
    """Keeps `state` in `folder`/pool.sqlite. `resume` first, then `start`; `close` writes what is left."""

    def __init__(self, state: PoolState, folder: Path) -> None:
        self._state = state
        self._path = folder / "pool.sqlite"
        self._kept = 0
        self._srs: set[str] = set()
        self._flushing = threading.Lock()
        self._closing = threading.Event()
        try:
            self._base = sqlite3.connect(self._path, check_same_thread=False)
            self._base.executescript("pragma journal_mode=wal; pragma synchronous=off;" + _TABLES)
        except sqlite3.Error as error:
            raise _damaged(self._path, error) from None
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def resume(self) -> bool:
        """Takes up the kept pool; False when there is none. UsageError when it is one of another profile."""
        try:
            about = dict(self._base.execute("select name, value from about"))
            if not about:
                return False
            profile = self._state.profile.name
            if about.get("format") != _FORMAT or about.get("profile") != profile:
                raise UsageError(
                    f"{self._path.parent} holds a pool of profile {about.get('profile')}, not {profile}",
                    hint="choose another folder or the same profile",
                )
            self._take_up()
        except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
            raise _damaged(self._path, error) from None
        return True

    def _take_up(self) -> None:
        state, base = self._state, self._base
        for uuid, told in base.execute("select uuid, told from sr"):
            sr = json.loads(told)
            state.volumes.add_sr(uuid, sr["size"], thick=sr["thick"])
        kept: dict[str, Any] = {u: json.loads(t) for u, t in base.execute("select uuid, told from volume")}
        missing = state.volumes.restore(kept)
        state.store.restore(base.execute("select class, ref, fields from record order by rowid"))
        self._kept = state.store.generation
        self._srs = set(state.volumes.spaces)
        for uuid in missing:  # the pool was killed between the removal of a disk and that of its record
            vdi = state.store.by_uuid("VDI", uuid)
            for vbd in state.store.get("VDI", vdi, "VBDs"):
                state.store.remove("VBD", vbd)
            state.store.remove("VDI", vdi)
        for cls in ("VM", "VDI", "VBD", "VIF", "SR", "host"):
            for ref in state.store.refs(cls):  # what was under way has ended with the tasks
                if state.store.get(cls, ref, "current_operations"):
                    state.store.set(cls, ref, current_operations={})
        for host in state.store.refs("host"):
            for vbd in state.store.get("VM", dom0(state, host), "VBDs"):
                detach(state, vbd)  # as a toolstack does when it starts: no transfer has lived on

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        store = self._state.store
        while not self._closing.is_set():
            with store.changed:
                if store.generation == self._kept:
                    store.changed.wait(DELAY_SECONDS)
            self._closing.wait(DELAY_SECONDS)
            self.flush()

    def flush(self) -> None:
        """Writes what has changed since the last time."""
        state, base = self._state, self._base
        with self._flushing, base:
            with state.store.lock:
                generation = state.store.generation
                changed, gone = state.store.unsaved(self._kept, FORGOTTEN)
                volumes, lost = state.volumes.unsaved()
            fresh = [(u, s) for u, s in list(state.volumes.spaces.items()) if u not in self._srs]
            if self._kept == 0:
                about = [("format", _FORMAT), ("profile", state.profile.name)]
                base.executemany("insert or replace into about values (?, ?)", about)
            base.executemany(
                "insert into record (class, ref, fields) values (?, ?, ?)"
                " on conflict (ref) do update set fields = excluded.fields",
                changed,
            )
            base.executemany("delete from record where ref = ?", [(ref,) for _cls, ref in gone])
            base.executemany(
                "insert or replace into volume values (?, ?)", [(u, json.dumps(v)) for u, v in volumes.items()]
            )
            base.executemany("delete from volume where uuid = ?", [(u,) for u in lost])
            base.executemany(
                "insert or replace into sr values (?, ?)",
                [(u, json.dumps({"size": s.physical_size, "thick": s.thick})) for u, s in fresh],
            )
            self._srs |= {u for u, _space in fresh}
            self._kept = generation

    def discard(self) -> None:
        """Lets go of the database without writing to it."""
        self._base.close()

    def close(self) -> None:
        """Writes the rest. Safe to call when `start` never was."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        with contextlib.suppress(sqlite3.Error):
            self.flush()
        self._base.close()
