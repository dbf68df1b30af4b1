# SPDX-License-Identifier: Apache-2.0
"""The engine without a journal: one process, one machine after the other.

Nothing is kept outside the target: each machine is found again by its tag, so that running the same orders once more
continues them.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from v2x.engine.interface import Doors, Event, Order, Watcher
from v2x.errors import Interrupted, Stopped, UsageError, V2xError
from v2x.migrate.itinerary import follow
from v2x.migrate.observe import Observer
from v2x.migrate.pace import Pace
from v2x.migrate.room import Reservations
from v2x.migrate.steps import Work
from v2x.model.migration import Failure, Migration, Outcome, Phase
from v2x.sources.interface import Source
from v2x.target.interface import Target

_log = logging.getLogger("v2x.engine")


class InlineEngine:
    """Runs orders in the calling thread. `cancel` and `drain` may be called from any thread or a signal handler."""

    def __init__(
        self,
        doors: Doors,
        watcher: Watcher,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._doors = doors
        self._watcher = watcher
        self._now = now
        self._sleep = sleep
        self._orders: dict[str, Order] = {}
        self._migrations: dict[str, Migration] = {}
        self._events: list[Event] = []
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
        self._keep(order.id, started=self._now(), outcome=Outcome.PENDING)
        work: Work | None = None
        try:
            work = self._work(order, observer)
            follow(work)
            outcome = Outcome.ALREADY if work.already else Outcome.MIGRATED
            self._keep(order.id, outcome=outcome, phase=Phase.DONE, failure=None)
        except (Stopped, Interrupted) as problem:
            if order.id in self._cancelled:
                self._discard(work)
                self._keep(order.id, outcome=Outcome.SKIPPED, failure=_failure(problem))
            else:
                self._keep(order.id, outcome=Outcome.STOPPED, failure=_failure(problem))
        except V2xError as problem:
            self._keep(order.id, outcome=Outcome.FAILED, failure=_failure(problem))
        except Exception as problem:
            _log.debug("unexpected failure", exc_info=True)
            text = f"{problem.__class__.__name__}: {problem}"
            failure = Failure(code="V2X-BUG", message=text, hint="please report this with the --verbose output")
            self._keep(order.id, outcome=Outcome.FAILED, failure=failure)
        finally:
            self._settle_room(order, work)
            if work is not None:
                self._keep(order.id, disks=tuple(work.results), vm_uuid=work.claim.id if work.claim else "")
                self._keep(order.id, source_changes=tuple(work.changes))
            self._keep(order.id, finished=self._now())
            self._record(order.id, "outcome", self._migrations[order.id].outcome)
            self._watcher.end(self._migrations[order.id])

    def _work(self, order: Order, observer: Observer) -> Work:
        source = self._sources.get(order.source)
        if source is None:
            source = self._sources[order.source] = self._doors.source(order.source)
        target = self._targets.get(order.target)
        if target is None:
            target = self._targets[order.target] = self._doors.target(order.target)
        return Work(
            tag=order.id,
            machine=order.machine,
            spec=order.spec,
            source=source,
            target=target,
            observer=observer,
            verify=order.verify,
            start=order.start,
            shutdown_seconds=order.shutdown_seconds,
            keep_off=order.keep_off,
            read_all=order.read_all,
            stage=Path(order.stage) if order.stage else None,
            place=order.target,
            reservations=self._reservations,
            stopping=lambda: self._draining.is_set() or order.id in self._cancelled,
            pace=Pace(lambda: self._rate_bytes, sleep=self._sleep),
        )

    def _settle_room(self, order: Order, work: Work | None) -> None:
        """A machine that goes on later keeps its promise of room; one that is done, or has nothing, gives it up."""
        unfinished = self._migrations[order.id].outcome in {Outcome.STOPPED, Outcome.FAILED}
        if not unfinished or work is None or work.claim is None or work.claim.sealed:
            self._reservations.release(order.id)

    def _discard(self, work: Work | None) -> None:
        if work is not None and work.claim is not None and not work.claim.sealed:
            work.target.discard(work.claim)
            work.source.release(work.machine, work.tag)

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


class _Recorder:
    """Passes everything on, and keeps phases and warnings in the engine's record."""

    def __init__(self, engine: InlineEngine, migration: str, inner: Observer) -> None:
        self._engine = engine
        self._migration = migration
        self._inner = inner

    def phase(self, phase: Phase) -> None:
        self._engine._keep(self._migration, phase=phase)
        self._engine._record(self._migration, "phase", phase)
        self._inner.phase(phase)

    def disk(self, disk: str, label: str, activity: str, done_bytes: int, total_bytes: int) -> None:
        self._inner.disk(disk, label, activity, done_bytes, total_bytes)

    def progress(self, disk: str, count_bytes: int) -> None:
        self._inner.progress(disk, count_bytes)

    def warning(self, text: str) -> None:
        (migration,) = self._engine.status([self._migration])
        self._engine._keep(self._migration, warnings=(*migration.warnings, text))
        self._engine._record(self._migration, "warning", text)
        self._inner.warning(text)


def _failure(problem: V2xError) -> Failure:
    return Failure(code=problem.code, message=problem.message, hint=problem.hint, exit_code=problem.exit_code)
