# SPDX-License-Identifier: Apache-2.0
"""Looks after test copies while a worker runs: how they are, and their end once their time is over."""

import logging
from collections.abc import Callable
from datetime import timedelta

from v2x.engine import batches, copies
from v2x.engine.batches import Batch
from v2x.engine.cutover_tests import CutoverTests
from v2x.engine.interface import Doors
from v2x.engine.live import Ledger
from v2x.engine.rounds import Rounds
from v2x.engine.store import Store
from v2x.errors import V2xError

_log = logging.getLogger("v2x.engine")


class Watchman:
    """Looks every `seconds`, by its `rounds`."""

    def __init__(self, store: Store, ledger: Ledger, doors: Callable[[Batch], Doors], *, seconds: float) -> None:
        self._store, self._ledger, self._doors, self._seconds = store, ledger, doors, seconds
        self.rounds = Rounds("test copies", self.look, seconds=seconds)

    def look(self) -> None:
        """One look at all copies that no other worker has just looked at."""
        now = self._ledger.now()
        with self._store.exclusive("tests") as connection:
            found = copies.due(connection, now - timedelta(seconds=self._seconds / 2), now)
            due = [batches.get(connection, batch) for batch in found]
        for batch in due:
            try:
                CutoverTests(self._store, self._ledger, self._doors(batch)).attend(batch)
            except V2xError as problem:
                _log.warning("the test copies of batch %s could not be looked at: %s", batch.id, problem.message)
