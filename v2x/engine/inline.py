# SPDX-License-Identifier: Apache-2.0
"""The engine without a journal: one process, one machine after the other.

Nothing is kept outside the target: each machine is found again by its tag, so that running the same orders once more
continues them.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from v2x.convert.interface import GuestWishes
from v2x.engine.attempt import Patience
from v2x.engine.interface import Doors, Event, Order, Watcher
from v2x.engine.memory import told_of
from v2x.engine.orders import NOTHING_HERE, hooks_of, itinerary_of, work_of
from v2x.engine.row import RowRun
from v2x.errors import UsageError
from v2x.migrate.observe import Observer
from v2x.migrate.pace import Pace
from v2x.migrate.room import Reservations
from v2x.migrate.work import Work
from v2x.model.hook import Hook
from v2x.model.migration import DiskResult, Failure, GuestChange, Migration, Outcome, Phase
from v2x.sources.interface import Source
from v2x.target.interface import Target

ONCE = Patience(attempts=1)
"""One machine, now: who watches it decides whether to try again."""


class InlineEngine:
    """Runs orders in the calling thread. `cancel` and `drain` may be called from any thread or a signal handler."""

    def __init__(
        self,
        doors: Doors,
        watcher: Watcher,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        hooks: Mapping[str, Hook] | None = None,
        wishes: GuestWishes = NOTHING_HERE,
    ) -> None:
        self._hooks, self._wishes = hooks or {}, wishes
        self._doors = doors
        self._watcher = watcher
        self._now = now
        self._sleep = sleep
        self._orders: dict[str, Order] = {}
        self._migrations: dict[str, Migration] = {}
        self._events: list[Event] = []
        self._facts: dict[str, list[str]] = {}
        self._cancelled: set[str] = set()
        self._draining = threading.Event()
        self._rate_bytes = 0
        self._sources: dict[str, Source] = {}
        self._targets: dict[str, Target] = {}
        self._reservations = Reservations()

    def submit(self, orders: Sequence[Order]) -> None:
        for order in orders:
            if order.id in self._orders:
                continue
            if order.window or order.after:
                what = "has a window" if order.window else "comes after other machines"
                raise UsageError(
                    f"{order.machine.name} {what}, which a run without a state cannot keep",
                    hint="v2x batch run keeps windows and order",
                )
            self._orders[order.id] = order
            self._migrations[order.id] = Migration(
                id=order.id,
                machine_id=order.machine.id,
                machine_name=order.machine.name,
                target_name=order.spec.name,
                source=order.source,
                target=order.target,
                machine=order.spec,
            )

    def status(self, ids: Sequence[str] = ()) -> tuple[Migration, ...]:
        return tuple(self._migrations[known] for known in self._migrations if not ids or known in ids)

    def events(self, since: int = 0) -> tuple[Event, ...]:
        return tuple(self._events[since:])

    def throttle(self, key: str, limit: int) -> None:
        if key != "rate":
            raise UsageError(f"unknown limit {key}", hint="this engine knows `rate`, in bytes per second")
        self._rate_bytes = max(0, limit)

    def cancel(self, ids: Sequence[str]) -> None:
        self._cancelled.update(ids)

    def drain(self) -> None:
        self._draining.set()

    def resume(self) -> None:
        self._draining.clear()
        try:
            for order in list(self._orders.values()):
                if self._migrations[order.id].outcome in {Outcome.PENDING, Outcome.STOPPED}:
                    if self._draining.is_set():
                        self._keep(order.id, outcome=Outcome.STOPPED)
                    else:
                        self._run(order)
        finally:
            self._close()

    def _run(self, order: Order) -> None:
        observer = _Recorder(self, order.id, self._watcher.begin(order))
        self._keep(order.id, started=self._now(), outcome=Outcome.PENDING, failure=None)
        wish = _Wish(self, order.id)
        row = RowRun(
            lambda: self._work(order, observer, wish),
            self._give,
            observer,
            wish,
            patience=ONCE,
            sleep=self._sleep,
            hooks=hooks_of(order, self._hooks),
            itinerary=itinerary_of(order),
        )
        outcome, failure = row.follow(lambda _name, step: step())
        self._keep(order.id, outcome=outcome, failure=failure, finished=self._now())
        if failure is None:
            self._keep(order.id, phase=Phase.DONE)
        if outcome not in {Outcome.STOPPED, Outcome.FAILED} or not self._migrations[order.id].vm_uuid:
            # A machine that goes on later keeps its promise of room; one that is done, or has nothing, gives it up.
            self._reservations.release(order.id)
        self._record(order.id, "outcome", outcome)
        self._watcher.end(self._migrations[order.id])

    def _give(self, _work: Work, _whole: bool) -> None:
        """Connections serve the next machine too; they end with the run."""

    def _work(self, order: Order, observer: Observer, wish: "_Wish") -> Work:
        source = self._sources.get(order.source)
        if source is None:
            source = self._sources[order.source] = self._doors.source(order.source)
        target = self._targets.get(order.target)
        if target is None:
            target = self._targets[order.target] = self._doors.target(order.target)
        return work_of(
            order,
            source,
            target,
            observer,
            self._wishes,
            reservations=self._reservations,
            stopping=wish.stopping,
            pace=Pace(lambda: self._rate_bytes, sleep=self._sleep),
        )

    def _keep(self, migration: str, **changes: Any) -> None:
        self._migrations[migration] = replace(self._migrations[migration], **changes)

    def _record(self, migration: str, kind: str, text: str) -> None:
        event = Event(number=len(self._events) + 1, time=self._now(), migration=migration, kind=kind, text=text)
        self._events.append(event)

    def _close(self) -> None:
        for source in self._sources.values():
            source.close()
        for target in self._targets.values():
            target.close()
        self._sources.clear()
        self._targets.clear()


class _Wish:
    """What is wanted of one order."""

    def __init__(self, engine: InlineEngine, migration: str) -> None:
        self._engine = engine
        self._migration = migration

    def stopping(self) -> bool:
        return self._engine._draining.is_set() or self.cancelled()

    def cancelled(self) -> bool:
        return self._migration in self._engine._cancelled

    def missed(self) -> Failure | None:
        return None

    def discards(self) -> bool:
        return self.cancelled()


class _Recorder:
    """Passes everything on, and keeps phases, results and warnings in the engine's record."""

    def __init__(self, engine: InlineEngine, migration: str, inner: Observer) -> None:
        self._engine = engine
        self._migration = migration
        self._inner = inner
        self._facts = engine._facts.setdefault(migration, [])

    def phase(self, phase: Phase) -> None:
        self._engine._keep(self._migration, phase=phase)
        self._engine._record(self._migration, "phase", phase)
        self._inner.phase(phase)

    def disk(self, disk: str, label: str, activity: str, done_bytes: int, total_bytes: int) -> None:
        self._inner.disk(disk, label, activity, done_bytes, total_bytes)

    def progress(self, disk: str, count_bytes: int) -> None:
        self._inner.progress(disk, count_bytes)

    def event(self, kind: str, text: str) -> None:
        self._engine._record(self._migration, kind, text)

    def remember(self, fact: str, instead_of: str = "") -> None:
        if instead_of:
            self._facts[:] = [one for one in self._facts if not one.startswith(instead_of)]
        self._facts.append(fact)
        self._engine._keep(self._migration, **told_of(self._facts))

    def forget(self, fact: str) -> None:
        self._facts[:] = [one for one in self._facts if one != fact]

    def facts(self) -> Sequence[str]:
        return self._facts

    def results(self) -> Sequence[DiskResult]:
        (migration,) = self._engine.status([self._migration])
        return migration.disks

    def has(self, uuid: str, results: Sequence[DiskResult]) -> None:
        self._engine._keep(self._migration, vm_uuid=uuid, disks=tuple(results))

    def converted(self, changes: tuple[GuestChange, ...]) -> None:
        self._engine._keep(self._migration, changes=changes)

    def warning(self, text: str) -> None:
        (migration,) = self._engine.status([self._migration])
        self._engine._keep(self._migration, warnings=(*migration.warnings, text))
        self._engine._record(self._migration, "warning", text)
        self._inner.warning(text)
