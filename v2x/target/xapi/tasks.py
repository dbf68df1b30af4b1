# SPDX-License-Identifier: Apache-2.0
"""Tasks: the only truth about an upload. HTTP status lines say nothing of how a transfer ended."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from v2x.errors import TargetError, V2xError
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import GONE, xapi_code

PENDING = "pending"
SUCCESS = "success"
VANISHED = "vanished"


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


def wait(client: Client, task: str, *, patience_seconds: float, stop: Callable[[], bool] = lambda: False) -> TaskState:
    """The task's final state; its last one when its progress has not changed for `patience_seconds` or `stop()`.

    Looks at once, then at intervals that grow to one second.
    """
    pause, seen, since = 0.02, -1.0, client.now()
    while True:
        found = state(client, task)
        if found.status != PENDING or stop():
            return found
        if found.progress != seen:
            seen, since = found.progress, client.now()
        elif client.now() - since > patience_seconds:
            return found
        client.sleep(pause)
        pause = min(pause * 1.5, 1.0)


def report_progress(client: Client, task: str, share: float) -> None:
    """Keeps a long task alive: the pool deletes one whose progress stands still for a day."""
    with contextlib.suppress(V2xError):
        client.call("task.set_progress", task, min(max(share, 0.0), 1.0))


def forget(client: Client, task: str) -> None:
    """Removes a task; one that is gone, or a pool that does not answer, is no error."""
    with contextlib.suppress(V2xError):
        client.call("task.destroy", task)
