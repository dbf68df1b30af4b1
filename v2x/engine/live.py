# SPDX-License-Identifier: Apache-2.0
"""What a worker holds in memory of the rows it runs, and the one thread that speaks of them with the database.

A copy must not wait for the database, so progress and promises of room are written together, about twice a second, and
what operators want (cancel, pause, limits) is read by the same beat.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from v2x.engine import batches, copies, dispatch, journal, slots, strain, tables
from v2x.engine.batches import Cancel
from v2x.engine.interface import Doors, Event
from v2x.engine.store import Store
from v2x.migrate.observe import Observer
from v2x.model.migration import DiskResult, Failure, GuestChange, Phase
from v2x.sources.interface import Source
from v2x.target.interface import Target
from v2x.text import plural

Key = tuple[str, str]
"""A batch and a row in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does what is done: goes into every event."""

    user: str
    worker: str
    version: str


class Ledger:
    """Writes state and events of rows. Every change is one transaction, and its event is in it."""

    def __init__(self, store: Store, actor: Actor, now: Callable[[], datetime]) -> None:
        self.store, self.actor, self.now = store, actor, now

    def record(
        self, batch: str, row: str, kind: str, text: str, about: Mapping[str, str] | None = None, **values: object
    ) -> None:
        """Adds an event, and changes columns of the row with it. `about` is said of the row in the event too."""
        with self.store.exclusive("events") as connection:
            self.write(connection, batch, row, kind, text, about)
            if kind == "warning":
                batches.warn(connection, batch, row, text)
            if values:
                batches.update(connection, batch, row, **values)

    def write(
        self,
        connection: sa.Connection,
        batch: str,
        row: str,
        kind: str,
        text: str,
        about: Mapping[str, str] | None = None,
    ) -> int:
        fields = {"time": self.now().isoformat(), "kind": kind, "text": text, **(about or {})}
        who = {"user": self.actor.user, "worker": self.actor.worker, "version": self.actor.version}
        return journal.append(connection, batch, row, {**fields, **who})

    def events(self, since: int = 0, batch: str = "") -> tuple[Event, ...]:
        with self.store.reading() as connection:
            return tuple(entry.event() for entry in journal.read(connection, batch, since))


class LiveRow:
    """A row that runs here: the observer of its copy, the keeper of its state, and what is wanted of it."""

    def __init__(
        self,
        key: Key,
        ledger: Ledger,
        shown: Observer,
        draining: Callable[[], bool],
        wish: Cancel | None = None,
        about: Mapping[str, str] | None = None,
        missed: Failure | None = None,
    ) -> None:
        self.about = dict(about or {})
        self._missed = missed
        self.key = key
        self._ledger = ledger
        self._shown = shown
        self._draining = draining
        self._wish = wish
        self._cut_over = threading.Event()
        self._lock = threading.Lock()
        self._disk = ("", "", "", 0, 0)
        self._copied = 0
        self._kept: tuple[str, tuple[DiskResult, ...]] | None = None
        self._began = (time.monotonic(), 0)
        self._dirty = False
        self.resting = False

    def phase(self, phase: Phase) -> None:
        with self._ledger.store.exclusive("events") as connection:
            self._ledger.write(connection, *self.key, "phase", phase, self.about)
            batches.update(connection, *self.key, phase=phase)
            self.resting = phase is Phase.HEALTH
            if self.resting:
                # Nothing is copied any more: others may, while the guest boots.
                slots.give_back(connection, self.key[1])
        self._shown.phase(phase)

    def warning(self, text: str) -> None:
        self._ledger.record(*self.key, "warning", text, self.about)
        self._shown.warning(text)

    def uploaded(self, disk: str, tasks: Sequence[str]) -> None:
        text = f"{disk}: {len(tasks)} {'upload' if len(tasks) == 1 else 'uploads'} done"
        self._ledger.record(*self.key, "upload", text, {**self.about, "tasks": " ".join(tasks)})

    def event(self, kind: str, text: str) -> None:
        self._ledger.record(*self.key, kind, text, self.about)

    def test_ended(self) -> None:
        with self._ledger.store.writing() as connection:
            copies.end(connection, *self.key, self._ledger.now())

    def remember(self, fact: str, instead_of: str = "") -> None:
        with self._ledger.store.writing() as connection:
            batches.remember(connection, *self.key, fact, instead_of)

    def forget(self, fact: str) -> None:
        with self._ledger.store.writing() as connection:
            known = batches.facts(connection, *self.key)
            left = tuple(one for one in known if one != fact)
            if left != known:
                batches.update(connection, *self.key, facts_json=batches.document(left))

    def facts(self) -> Sequence[str]:
        with self._ledger.store.reading() as connection:
            return batches.facts(connection, *self.key)

    def results(self) -> Sequence[DiskResult]:
        with self._ledger.store.reading() as connection:
            return batches.disk_results(connection, *self.key)

    def has(self, uuid: str, results: Sequence[DiskResult]) -> None:
        kept = (uuid, tuple(results))
        if kept == self._kept:
            return
        with self._ledger.store.writing() as connection:
            # A run that continues after the copy has no results of its own; those of the one before it stay.
            if results or not uuid:
                batches.keep_disks(connection, *self.key, results)
            batches.update(connection, *self.key, vm_uuid=uuid)
        self._kept = kept

    def converted(self, changes: tuple[GuestChange, ...]) -> None:
        with self._ledger.store.writing() as connection:
            batches.keep_changes(connection, *self.key, changes)
        self.event("convert", f"{plural(len(changes), 'change')} inside the guest")

    def disk(self, disk: str, label: str, activity: str, done_bytes: int, total_bytes: int) -> None:
        with self._lock:
            self._disk = (disk, label, activity, done_bytes, total_bytes)
            self._copied += done_bytes if activity == "copy" else 0
            self._began = (time.monotonic(), done_bytes)
            self._dirty = True
        self._shown.disk(disk, label, activity, done_bytes, total_bytes)

    def progress(self, disk: str, count_bytes: int) -> None:
        with self._lock:
            name, label, activity, done, total = self._disk
            self._disk = (name, label, activity, done + count_bytes, total)
            self._copied += count_bytes if activity == "copy" else 0
            self._dirty = True
        self._shown.progress(disk, count_bytes)

    def wanted(self, wish: Cancel | None) -> None:
        self._wish = wish

    def told_to_cut_over(self, told: bool = True) -> None:
        """What holds now: the word, or none while the window is shut or another machine goes before."""
        if told:
            self._cut_over.set()
        else:
            self._cut_over.clear()

    def cut_over(self) -> bool:
        return self._cut_over.is_set()

    def stopping(self) -> bool:
        return self._wish is not None or self._draining()

    def cancelled(self) -> bool:
        return self._wish in {Cancel.DISCARD, Cancel.KEEP}

    def missed(self) -> Failure | None:
        return self._missed if self._wish is Cancel.MISSED else None

    def discards(self) -> bool:
        return self._wish is Cancel.DISCARD

    def take_progress(self, now: datetime) -> dict[str, object] | None:
        """The progress row to write, if there is news."""
        with self._lock:
            disk, label, activity, done, total = self._disk
            if not self._dirty or not disk:
                return None
            self._dirty = False
            since, before = self._began
            rate = (done - before) / max(0.001, time.monotonic() - since)
            copied = self._copied
        return {
            "batch": self.key[0],
            "row": self.key[1],
            "disk": disk,
            "label": label,
            "activity": activity,
            "done_bytes": done,
            "total_bytes": total,
            "copied_bytes": copied,
            "rate_bytes": rate,
            "updated": now.isoformat(),
        }


class Openings:
    """Open sources and targets of a batch, each in the hands of one row at a time."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._lock = threading.Lock()
        self._sources: dict[str, list[Source]] = {}
        self._targets: dict[str, list[Target]] = {}

    def source(self, alias: str) -> Source:
        with self._lock:
            free = self._sources.get(alias)
            if free:
                return free.pop()
        return self._doors.source(alias)

    def target(self, alias: str) -> Target:
        with self._lock:
            free = self._targets.get(alias)
            if free:
                return free.pop()
        return self._doors.target(alias)

    def give(self, source: tuple[str, Source], target: tuple[str, Target], *, whole: bool) -> None:
        """Takes both back; what may be broken is closed instead."""
        if not whole:
            source[1].close()
            target[1].close()
            return
        with self._lock:
            self._sources.setdefault(source[0], []).append(source[1])
            self._targets.setdefault(target[0], []).append(target[1])

    def close(self) -> None:
        with self._lock:
            sources, self._sources = self._sources, {}
            targets, self._targets = self._targets, {}
        for source in (one for free in sources.values() for one in free):
            source.close()
        for target in (one for free in targets.values() for one in free):
            target.close()


class Beat:
    """The thread that writes progress and reads wishes. `after` is called at each beat with the limits."""

    def __init__(self, ledger: Ledger, worker: str, *, seconds: float = 0.5) -> None:
        self._ledger, self._worker, self._seconds = ledger, worker, seconds
        self._rows: dict[Key, LiveRow] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.limits: Mapping[str, str] = {}
        self.shares: Mapping[str, int] = {}
        self.flushes: list[Callable[[sa.Connection], None]] = []
        self.failed: Callable[[Exception], None] = lambda _problem: None
        self._thread = threading.Thread(target=self._run, name="v2x-beat", daemon=True)

    @contextmanager
    def row(self, row: LiveRow) -> Iterator[None]:
        with self._lock:
            self._rows[row.key] = row
        try:
            yield
        finally:
            with self._lock:
                del self._rows[row.key]
            self._write([row])

    def rows(self) -> list[LiveRow]:
        with self._lock:
            return list(self._rows.values())

    def start(self) -> None:
        self.beat()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self.beat()
            except Exception as problem:  # the worker decides what that means
                self.failed(problem)

    def beat(self) -> None:
        """One round: heartbeat and progress out, limits and wishes in."""
        self._write(self.rows())
        with self._ledger.store.reading() as connection:
            self.limits = slots.read_limits(connection)
            self.shares = strain.shares(connection, self._ledger.now())
            wishes = dispatch.wishes(connection, self._worker)
            cutovers = dispatch.cutovers(connection, self._worker, self._ledger.now())
        for row in self.rows():
            row.wanted(wishes.get(row.key))
            row.told_to_cut_over(row.key in cutovers)

    def _write(self, rows: Sequence[LiveRow]) -> None:
        now = self._ledger.now()
        news = [one for one in (row.take_progress(now) for row in rows) if one is not None]
        of = tables.progress
        with self._ledger.store.writing() as connection:
            seen = tables.workers.update().where(tables.workers.c.id == self._worker)
            connection.execute(seen.values(seen=now.isoformat()))
            for one in news:
                here = (of.c.batch == one["batch"]) & (of.c.row == one["row"])
                connection.execute(of.delete().where(here))
                connection.execute(of.insert().values(**one))
            for flush in self.flushes:
                flush(connection)
