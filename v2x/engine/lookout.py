# SPDX-License-Identifier: Apache-2.0
"""The thread of a worker that measures how strained the targets are that its rows go to; see strain.py.

It has sessions of its own, so that no copy waits for it. A password that was refused is not tried again.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta

import sqlalchemy as sa

from v2x.engine import dispatch, slots, strain
from v2x.engine.batches import Batch
from v2x.engine.easing import THRESHOLDS
from v2x.engine.interface import Doors
from v2x.engine.live import Ledger
from v2x.engine.store import Store
from v2x.engine.strain import Burdened
from v2x.errors import LoginError, V2xError
from v2x.target.interface import Load, Target, TellsLoad

_log = logging.getLogger("v2x.engine")
_STEP_SECONDS = 0.5


class Lookout:
    """`places` tells the targets of the rows that run here, by alias, with a batch that each is opened for.

    `failed` is called with what ends the thread: the state database cannot be used any more.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        worker: str,
        doors: Callable[[Batch], Doors],
        places: Callable[[], Mapping[str, Batch]],
        *,
        seconds: float,
        failed: Callable[[Exception], None],
    ) -> None:
        self._store, self._ledger, self._worker, self._doors = store, ledger, worker, doors
        self._places, self._seconds, self._failed = places, seconds, failed
        self._targets: dict[str, Target] = {}
        self._mute: set[str] = set()
        self._said: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="v2x-lookout", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, closes its sessions, and leaves the task to another worker."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for place in list(self._targets):
            self._close(place)

    def _run(self) -> None:
        looked = -self._seconds
        while not self._stop.wait(min(_STEP_SECONDS, self._seconds)):
            if time.monotonic() - looked < self._seconds or not self._places():
                continue
            looked = time.monotonic()
            try:
                self.look()
            except sa.exc.SQLAlchemyError as problem:  # the worker decides what that means
                self._failed(problem)
                return
            except Exception as problem:  # no machine is to fail because nobody looks after the pool
                _log.debug("unexpected failure", exc_info=True)
                self._say("", f"the strain of the targets is not measured: {problem.__class__.__name__}: {problem}")

    def look(self) -> None:
        """One look at every target that rows here go to, unless another worker has that task."""
        for place, batch in self._places().items():
            if place in self._mute or not self._is_mine(place):
                continue
            with self._store.reading() as connection:
                found = strain.burdened(dispatch.running_orders(connection, place))
            if found:
                load = self._measured(place, batch, found)
                if load is not None:
                    self._write(place, found, load)

    def _is_mine(self, place: str) -> bool:
        now = self._ledger.now()
        with self._store.exclusive("dispatch") as connection:
            limits = slots.read_limits(connection)
            if not any(slots.limit_of(key, limits) for key in THRESHOLDS) and not strain.shown(connection, now):
                return False
            return strain.take_look(connection, place, self._worker, now, timedelta(seconds=2 * self._seconds + 5))

    def _measured(self, place: str, batch: Batch, found: Collection[Burdened]) -> Load | None:
        """None for targets that tell nothing; what failed as a whole is not measured."""
        try:
            target = self._targets.get(place)
            if target is None:
                target = self._targets[place] = self._doors(batch).target(place)
            if not isinstance(target, TellsLoad):
                self._mute.add(place)
                self._close(place)
                return None
            return target.load(strain.hosts_of(found), strain.storage_of(found))
        except V2xError as problem:
            self._say(place, f"how strained {place} is cannot be measured: {problem.message}")
            self._close(place)
            if isinstance(problem, LoginError):
                self._mute.add(place)
            return strain.nothing_measured(found, problem.message)

    def _write(self, place: str, found: Iterable[Burdened], load: Load) -> None:
        with self._store.exclusive("dispatch") as connection:
            told = strain.apply(connection, place, list(found), load, self._ledger.now())
            if told:
                self._store.hold(connection, "events")
            for text, about in told:
                self._ledger.write(connection, "", "", "strain", text, about)

    def _say(self, place: str, text: str) -> None:
        """Warns, once for as long as nothing else is to be said."""
        if self._said.get(place) != text:
            self._said[place] = text
            _log.warning("%s", text)

    def _close(self, place: str) -> None:
        target = self._targets.pop(place, None)
        if target is not None:
            with suppress(V2xError):
                target.close()
