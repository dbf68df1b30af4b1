# SPDX-License-Identifier: Apache-2.0
"""A worker: starts rows that may start, runs each in a thread of its own, and takes over those of workers that died."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from v2x.convert.interface import GuestWishes
from v2x.engine import batches, crew, dispatch, foretelling, slots, tables
from v2x.engine.attempt import Journal
from v2x.engine.batches import Batch, Cancel, State
from v2x.engine.durable import Durable, Pacing
from v2x.engine.gates import Skipped
from v2x.engine.interface import Doors, Order, Watcher
from v2x.engine.live import Beat, Ledger, LiveRow, Openings
from v2x.engine.locks import FolderLock, Lock, ServerLock
from v2x.engine.lookout import Lookout
from v2x.engine.orders import NOTHING_HERE, hooks_of, itinerary_of, work_of
from v2x.engine.promises import SharedReservations
from v2x.engine.rates import rate_at
from v2x.engine.row import WAITED_FOR, RowRun
from v2x.engine.store import FREE_BYTES_TO_GO_ON, FREE_BYTES_TO_START, StateError, Store
from v2x.engine.testwatch import Watchman
from v2x.engine.turns import Turns, conversions_here
from v2x.engine.vigil import Vigil
from v2x.migrate.listings import Listings
from v2x.migrate.pace import Pace
from v2x.migrate.work import Work
from v2x.model.hook import Hook
from v2x.model.migration import Failure, Outcome, Phase
from v2x.model.outage import History

_log = logging.getLogger("v2x.engine")
LOCAL = "v2x-local"
"""The executor of a state folder: there is one process for it at a time, and each continues what the last one ran."""
LISTED_FOR = timedelta(minutes=10)
"""How long what a source told of a machine is taken to hold; a row that starts later is compared with it again."""
_RESTING = 4
"""How many times the rows at once may be open, those included whose guests boot; each holds two sessions."""
_UNSETTLED = {Outcome.STOPPED, Outcome.FAILED, Outcome.READY, Outcome.MISSED_WINDOW}


class Worker:
    """Runs rows of a state database until nothing is left, or it is drained."""

    def __init__(
        self,
        store: Store,
        durable: Durable,
        doors: Callable[[Batch], Doors],
        watcher: Watcher,
        *,
        rows_at_once: int = 16,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pacing: Pacing | None = None,
        hooks: Mapping[str, Hook] | None = None,
        wishes: GuestWishes = NOTHING_HERE,
    ) -> None:
        self._hooks, self._wishes = hooks or {}, wishes
        self._store, self._durable, self._doors, self._watcher = store, durable, doors, watcher
        self._rows_at_once, self._now, self._pacing = rows_at_once, now, pacing or Pacing()
        self.id = crew.worker_name() if store.is_shared else LOCAL
        self.ledger = Ledger(store, crew.actor(self.id), now)
        self._beat = Beat(self.ledger, self.id, seconds=self._pacing.beat_seconds)
        self._reservations = SharedReservations(store)
        self._beat.flushes.append(self._reservations.flush)
        self._beat.failed = self._troubled
        self._tests = Watchman(store, self.ledger, doors, seconds=self._pacing.test_seconds)
        self._batch = ""
        self._going: dict[tuple[str, str, int], tuple[str, Batch]] = {}
        self._lookout = Lookout(
            store, self.ledger, self.id, doors, self._places,
            seconds=self._pacing.strain_seconds, failed=self._troubled,
        )  # fmt: skip
        self._vigil = Vigil(self.ledger, doors, hooks=hooks, seconds=self._pacing.watch_seconds)
        self._turns = Turns(self._conversions)
        self._openings: dict[str, Openings] = {}
        self._listings: dict[str, Listings] = {}
        self._opening = threading.Lock()
        self._draining = threading.Event()
        self._woken = threading.Event()
        self._live: set[tuple[str, str, int]] = set()
        self._started: set[tuple[str, str, int]] = set()
        self._trouble: Exception | None = None
        self._lock: Lock | None = None

    def drain(self) -> None:
        """Starts nothing more; what runs comes to a mark and stops. Safe in a signal handler."""
        self._draining.set()
        self._woken.set()

    def run(self, batch: str = "", *, forever: bool = False, lock: Lock | None = None) -> None:
        """Works until no row is left, or the worker is drained; with `batch`, on the rows of that one alone.

        `lock` is that of the state folder where the caller holds it already; it is released at the end. Conflict while
        another process has the folder; StateError when the state cannot be written any more: what
        runs has stopped at a mark, and the next run continues it.
        """
        self._room(FREE_BYTES_TO_START)
        self._lock, self._batch = lock or self._locked(), batch
        try:
            self._register()
            self._durable.launch(self._store, self.id, self._run_row)
            self._beat.start()
            self._tests.rounds.start()
            self._lookout.start()
            self._vigil.rounds.start()
            self._reconcile(self.id)
            self._work(forever)
        finally:
            self._draining.set()
            self._end()
        if self._trouble is not None:
            raise StateError(
                f"the state database cannot be written: {self._trouble}",
                hint="make room or repair it, then run the same command again; it continues",
            )

    def _work(self, forever: bool) -> None:
        buried = time.monotonic()
        while not self._draining.is_set():
            if time.monotonic() - buried >= self._pacing.bury_seconds:
                buried = time.monotonic()
                self._bury()
                self._room(FREE_BYTES_TO_GO_ON)
            with self._store.exclusive("dispatch") as connection:
                free = self._free()
                skipped = dispatch.skip(connection, self._now(), self._batch)
                claimed = dispatch.claim(connection, self.id, free, self._now(), self._batch)
                left = dispatch.unfinished(connection, self._batch)
            for one in skipped:
                self._told_of(one)
            for row in claimed:
                self._started.add((row.batch, row.id, row.attempt))
                self._durable.start(row)
            if not left and not claimed and not skipped and not self._live and not forever:
                return
            self._woken.wait(self._pacing.look_seconds)
            self._woken.clear()

    def _free(self) -> int:
        """How many more rows may start. One that only waits for its guest to boot keeps none of them, up to a limit."""
        resting = {row.key for row in self._beat.rows() if row.resting}
        live = self._live | self._started
        busy = sum(key[:2] not in resting for key in live)
        return min(self._rows_at_once - busy, _RESTING * self._rows_at_once - len(live))

    def _told_of(self, one: Skipped) -> None:
        with self._store.exclusive("events") as connection:
            (migration,) = batches.migrations(connection, one.batch, [one.row])
            about = {"machine": migration.machine_name, "code": one.failure.code, "why": one.failure.message}
            self.ledger.write(connection, one.batch, one.row, "outcome", one.outcome, about)
        self._watcher.end(migration)

    def _run_row(self, batch_id: str, row: str, attempt: int, journal: Journal) -> None:
        """One attempt at one row, in a thread of the durable engine."""
        key = (batch_id, row, attempt)
        if self._batch not in ("", batch_id):
            # A row of another batch that an earlier process was at: whoever works on that one goes on with it.
            self._put_back(batch_id, row, attempt)
            return
        self._live.add(key)
        self._started.discard(key)
        try:
            found = self._adopted(batch_id, row, attempt)
            if found is None:
                return
            batch, order, wish, failure = found
            self._going[key] = (order.target, batch)
            shown = self._watcher.begin(order)
            about = {"machine": order.machine.name, "plan": batch.plan_id, **accounts(batch, order)}
            live = LiveRow((batch_id, row), self.ledger, shown, self._draining.is_set, wish or None, about, failure)
            with self._store.reading() as connection:
                live.told_to_cut_over(live.key in dispatch.cutovers(connection, self.id, self._now()))
            with self._beat.row(live):
                outcome, failure = self._attempt(batch, order, live).follow(journal)
            self._finish(batch_id, row, outcome, failure, about, order.sync_minutes)
        finally:
            self._live.discard(key)
            self._going.pop(key, None)
            self._woken.set()

    def _put_back(self, batch: str, row: str, attempt: int) -> None:
        of = tables.rows
        with self._store.exclusive("dispatch") as connection:
            mine = (of.c.batch == batch) & (of.c.id == row) & (of.c.attempt == attempt)
            waits = of.update().where(mine, of.c.state == State.RUNNING).values(state=State.WAITING)
            if connection.execute(waits).rowcount:
                slots.give_back(connection, row)

    def _places(self) -> dict[str, Batch]:
        """The targets of what runs here, by alias."""
        return dict(list(self._going.values()))

    def _adopted(self, batch_id: str, row: str, attempt: int) -> tuple[Batch, Order, Cancel, Failure | None] | None:
        """The row as this worker's own, with what it ends with if it only lets go; None for one that is not ours."""
        of = tables.rows
        with self._store.writing() as connection:
            mine = (of.c.batch == batch_id) & (of.c.id == row) & (of.c.attempt == attempt)
            mine &= of.c.state == State.RUNNING
            told = connection.execute(sa.select(of.c.cancel, of.c.failure_json).where(mine)).first()
            if told is None:
                return None
            wish = Cancel(told.cancel)
            failure = batches.failure(told.failure_json) if wish is Cancel.MISSED else None
            kept = told.failure_json if failure else ""
            fresh = {"worker": self.id, "outcome": Outcome.PENDING, "failure_json": kept}
            connection.execute(of.update().where(mine).values(**fresh))
            begun = of.update().where(mine, of.c.started == "")
            connection.execute(begun.values(started=self._now().isoformat()))
            return batches.get(connection, batch_id), batches.order(connection, batch_id, row), wish, failure

    def _attempt(self, batch: Batch, order: Order, live: LiveRow) -> RowRun:
        openings, keys = self._opened(batch), slots.keys_of(order)

        def build() -> Work:
            source = openings.source(order.source)
            try:
                target = openings.target(order.target)
            except BaseException:
                source.close()
                raise
            return work_of(
                order,
                source,
                target,
                live,
                self._wishes,
                reservations=self._reservations,
                stopping=live.stopping,
                pace=Pace(lambda: self._rate(keys)),
                waits_for_cutover=True,
                cut_over=live.cut_over,
                listings=self._listings[batch.id],
                appliance=self._turns.taken,
                look_again=order.listed is not None and self._now() - order.listed > LISTED_FOR,
                now=self._now,
                history=lambda: self._history(batch.id),
                contention=lambda: self._contention(batch.id, order),
            )

        def give(work: Work, whole: bool) -> None:
            openings.give((order.source, work.source), (order.target, work.target), whole=whole)

        hooks = hooks_of(order, self._hooks)
        return RowRun(
            build, give, live, live, patience=self._pacing.patience, hooks=hooks, itinerary=itinerary_of(order)
        )

    def _history(self, batch: str) -> History:
        with self._store.reading() as connection:
            return foretelling.history(connection, batch)

    def _contention(self, batch: str, order: Order) -> float:
        """How many more will share the way than now, once all of the wave that wait for their cutover have it."""
        with self._store.reading() as connection:
            together = foretelling.to_cut_over(connection, batch, order.wave)
        return min(together, self._rows_at_once) / max(1, len(self._live))

    def _conversions(self) -> int:
        given = self._beat.limits.get(slots.CONVERSIONS, "")
        return int(given) if given else conversions_here()

    def _rate(self, keys: Sequence[str]) -> int:
        """A row's share of this worker's bytes per second, and of those that what it works on can bear; 0 for any."""
        total = rate_at(self._beat.limits.get(slots.RATE, "0"), self._now().astimezone())
        shares = [max(1, total // max(1, len(self._live)))] if total else []
        return min([*shares, *(self._beat.shares[key] for key in keys if key in self._beat.shares)], default=0)

    def _finish(
        self,
        batch: str,
        row: str,
        outcome: Outcome,
        failure: Failure | None,
        about: Mapping[str, str],
        sync_minutes: float,
    ) -> None:
        in_vain = outcome is Outcome.STOPPED and failure is not None and failure.code in WAITED_FOR
        goes_on = outcome in {Outcome.STOPPED, Outcome.READY} and not in_vain
        values: dict[str, object] = {
            "state": State.WAITING if goes_on else State.ENDED,
            "outcome": outcome,
            "failure_json": batches.document(failure) if failure else "",
            "finished": self._now().isoformat(),
            "due": "",
        }
        if not goes_on:
            # One that goes on keeps the wish: it may have come after the row's last look for it.
            values["cancel"] = ""
        if outcome is Outcome.READY:
            # Ready rows start again for their next pass when it is due, and at once for their cutover.
            values.update(phase=Phase.READY, due=(self._now() + timedelta(minutes=sync_minutes)).isoformat())
        if outcome in {Outcome.MIGRATED, Outcome.ALREADY}:
            values["phase"] = Phase.DONE
        with self._store.exclusive("events") as connection:
            batches.update(connection, batch, row, **values)
            slots.give_back(connection, row)
            if outcome is not Outcome.STOPPED:
                # What a stopped one has copied stays in sight until it goes on.
                connection.execute(tables.progress.delete().where(tables.progress.c.row == row))
            (migration,) = batches.migrations(connection, batch, [row])
            said = {**about, "vm": migration.vm_uuid, "code": failure.code if failure else ""}
            self.ledger.write(connection, batch, row, "outcome", outcome, said)
        if outcome not in _UNSETTLED or not migration.vm_uuid:
            # A machine that goes on later keeps its promise of room; one that is done, or has nothing, gives it up.
            self._reservations.release(row)
        self._watcher.end(migration)

    def _opened(self, batch: Batch) -> Openings:
        with self._opening:
            if batch.id not in self._openings:
                self._listings[batch.id] = Listings(lambda source: self._to_come(batch.id, source))
                self._openings[batch.id] = Openings(self._doors(batch))
            return self._openings[batch.id]

    def _to_come(self, batch: str, source: str) -> set[str]:
        with self._store.reading() as connection:
            return dispatch.machines_to_come(connection, batch, source)

    def _locked(self) -> Lock:
        if self._store.folder is not None:
            return FolderLock(self._store.folder)
        return ServerLock(self._store, self.id)

    def _register(self) -> None:
        with self._store.writing() as connection:
            crew.join(connection, self.id, self._batch, self._now().isoformat())

    def _reconcile(self, executor: str) -> None:
        """Rows that `executor` had taken but not begun wait again; what it had begun, the durable engine continues."""
        alive = self._durable.alive(executor)
        with self._store.exclusive("dispatch") as connection:
            for (batch, row), attempt in dispatch.running(connection, executor).items():
                if (batch, row, attempt) not in alive:
                    slots.give_back(connection, row)
                    batches.update(connection, batch, row, state=State.WAITING)

    def _bury(self) -> None:
        """Takes over the rows of workers that died."""
        if self._lock is None:
            return
        for worker in self._lock.dead():
            _log.warning("worker %s is gone; its machines are continued", worker)
            self._reconcile(worker)
            self._durable.take_over(worker)
            with self._store.exclusive("events") as connection:
                crew.leave(connection, worker)
                self.ledger.write(connection, "", "", "takeover", f"worker {worker} is gone")
            self._lock.buried(worker)

    def _room(self, least_bytes: int) -> None:
        free = self._store.free_bytes()
        if free is not None and free < least_bytes:
            problem = StateError(
                f"{self._store.folder} has {free // 2**20} MiB free, {least_bytes // 2**20} MiB are needed",
                hint="make room, then run the same command again; it continues",
            )
            if least_bytes == FREE_BYTES_TO_START:
                raise problem
            self._troubled(problem)

    def _troubled(self, problem: Exception) -> None:
        self._trouble = self._trouble or problem
        self.drain()

    def _end(self) -> None:
        """Waits for what runs to come to its mark, then leaves."""
        self._durable.close()
        self._tests.rounds.stop()
        self._lookout.stop()
        self._vigil.rounds.stop()
        self._beat.stop()
        for openings in self._openings.values():
            with suppress(Exception):
                openings.close()
        with suppress(sa.exc.SQLAlchemyError), self._store.writing() as connection:
            self._reservations.flush(connection)
            crew.leave(connection, self.id)
        if self._lock is not None:
            self._lock.release()


def accounts(batch: Batch, order: Order) -> dict[str, str]:
    """Under which names source and target are used: the addresses, which hold no secret."""
    source = next((one.address for one in batch.doors.sources if one.alias == order.source), order.source)
    target = next((one.address for one in batch.doors.targets if one.alias == order.target), order.target)
    return {"source": source, "target": target}
