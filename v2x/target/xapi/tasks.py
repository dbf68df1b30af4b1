# SPDX-License-Identifier: Apache-2.0
"""Tasks: the only truth about an upload. HTTP status lines say nothing of how a transfer ended."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

from v2x.errors import TargetError, V2xError
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import GONE, xapi_code

PENDING = "pending"
SUCCESS = "success"
VANISHED = "vanished"

_EVENT_SECONDS = 30.0
_PULSE = 1e-7
_STEP = 1e-4
"""Progress by less is none: pulses move it by at most 100 × 1e-7."""


@dataclass(frozen=True, slots=True)
class TaskState:
    """`status` is pending, success, failure, cancelled, or vanished (the pool's database was restarted)."""

    status: str
    progress: float = 0.0
    error: tuple[str, ...] = ()


def create(client: Client, label: str) -> str:
    """A pending task of our own; its reference."""
    return str(client.call("task.create", label, "v2x"))


def state(client: Client, task: str) -> TaskState:
    try:
        record = client.call("task.get_record", task)
    except TargetError as error:
        if xapi_code(error) in GONE:
            return TaskState(VANISHED)
        raise
    if not isinstance(record, dict):
        return TaskState(VANISHED)
    progress = record.get("progress")
    return TaskState(
        str(record.get("status", "")).lower() or PENDING,
        progress if isinstance(progress, float) else 0.0,
        tuple(str(part) for part in record.get("error_info") or ()),
    )


class _Watch:
    """Waits for the next change of a task: by events, or by looking again where the pool gives none."""

    def __init__(self, client: Client, task: str) -> None:
        self._client, self._classes, self._token = client, [f"task/{task}"], ""
        self._pause: float | None = None
        self.wait(0.0)

    def wait(self, most_seconds: float) -> None:
        """Returns at a change, and after `most_seconds` or sooner without one."""
        if self._pause is None:
            try:
                told = self._client.watch(self._classes, self._token, min(_EVENT_SECONDS, most_seconds))
                self._token = str(told["token"])
                return
            except (TargetError, KeyError, TypeError):
                # No events from this pool, or not with this token: the task's record says the same a little later.
                self._pause = 0.02
        self._client.sleep(min(self._pause, most_seconds))
        self._pause = min(self._pause * 1.5, 1.0)


def wait(client: Client, task: str, *, patience_seconds: float) -> TaskState:
    """The task's final state; its last one when its progress has not changed for `patience_seconds`.

    The record is read after each event and at least twice a minute, so a task that vanished does not go unnoticed.
    """
    watch, seen, since = _Watch(client, task), -1.0, client.now()
    while True:
        found = state(client, task)
        if found.status != PENDING:
            return found
        if abs(found.progress - seen) > _STEP:
            seen, since = found.progress, client.now()
        left = patience_seconds - (client.now() - since)
        if left <= 0:
            return found
        watch.wait(left)


class Pulse:
    """Keeps a transfer's task and session alive for days.

    A pool deletes a task that is pending for a day as soon as its progress stands still between two passes of its
    collector, half a minute apart (xapi: db_gc_util.ml); a session with a pending task is kept. Some imports report no
    progress at all, and a slow source may be silent for long. So once the task is `after_seconds` old, its progress is
    set every `every_seconds` to `share()`, each time a little different.
    """

    def __init__(
        self, client: Client, task: str, share: Callable[[], float], *, after_seconds: float, every_seconds: float
    ) -> None:
        self._client, self._task, self._share = client, task, share
        self._after, self._every = after_seconds, every_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="v2x-pulse", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        beat, pause = 0, self._after
        while not self._ended.wait(pause):
            beat, pause = (beat + 1) % 100, self._every
            report_progress(self._client, self._task, min(self._share(), 1 - 100 * _PULSE) + beat * _PULSE)

    def end(self) -> None:
        """Safe to call twice."""
        self._ended.set()


def report_progress(client: Client, task: str, share: float) -> None:
    """Says how far a task is, as nobody else does for some kinds of import."""
    with contextlib.suppress(V2xError):
        client.call("task.set_progress", task, min(max(share, 0.0), 1.0))


def forget(client: Client, task: str) -> None:
    """Removes a task; one that is gone, or a pool that does not answer, is no error."""
    with contextlib.suppress(V2xError):
        client.call("task.destroy", task)
