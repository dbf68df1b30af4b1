# SPDX-License-Identifier: Apache-2.0
"""The collector of old tasks and idle sessions (xapi: db_gc_util.ml)."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from v2x.simulators.xapi.state import PoolState


@dataclass(slots=True)
class _Seen:
    """A task as it was at the last pass. `since` is when it was first seen in this status."""

    status: str
    progress: float
    since: float


class Collector:
    """`collect` is one pass; `start` makes one every `collect_every` seconds."""

    def __init__(self, state: PoolState, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while not self._closing.wait(self._state.settings.collect_every or 0.01):
            self.collect()

    def collect(self) -> None:
        state, now = self._state, self._clock()
        with state.store.lock:
            state.sessions.collect()
            seen: dict[str, _Seen] = {}
            for task in state.store.refs("task"):
                status, progress = state.store.get("task", task, "status"), state.store.get("task", task, "progress")
                known = self._seen.get(task)
                if known is None or known.status != status:
                    seen[task] = _Seen(status, progress, now)
                    continue
                idle, known.progress = known.progress == progress, progress
                age = now - known.since
                old = age > state.settings.tasks_pending_for and idle
                if old if status == "pending" else age > state.settings.tasks_kept_for:
                    state.store.remove("task", task)
                else:
                    seen[task] = known
            self._seen = seen

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(5)
