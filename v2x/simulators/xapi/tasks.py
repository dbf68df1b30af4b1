# SPDX-License-Identifier: Apache-2.0
"""The life of a task. A task may vanish at any moment: every function here shrugs at that.

Facts: xapi, taskHelper.ml, xapi_task.ml.
"""

from typing import Any

from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import PoolState
from v2x.simulators.xapi.xmlrpc import value_xml


def _collect(state: PoolState) -> None:
    """Finished tasks are kept for a while; beyond `tasks_kept` the oldest go."""
    store = state.store
    finished = [t for t in store.refs("task") if store.get("task", t, "status") != "pending"]
    for ref in finished[: max(len(finished) - state.settings.tasks_kept, 0)]:
        store.remove("task", ref)


def create(state: PoolState, label: str, *, description: str = "", session: str, host: str, parent: str = NULL) -> str:
    """A pending task; returns its reference."""
    with state.store.lock:
        _collect(state)
    values = {
        "name_label": label,
        "name_description": description,
        "created": state.now(),
        "status": "pending",
        "session": session,
        "resident_on": host,
        "progress": 0.0,
        "type": "<none/>",
        "subtask_of": parent,
    }
    return state.store.add("task", values)


def result_text(value: Any) -> str:
    """What `result` of a successful task holds: XML text, empty for void."""
    return "" if value is None else value_xml(value)


def _finish(state: PoolState, ref: str, **values: Any) -> None:
    with state.store.lock:
        if not state.store.exists("task", ref) or state.store.get("task", ref, "status") != "pending":
            return
        state.store.set(
            "task", ref, progress=1.0, finished=state.now(), allowed_operations=[], current_operations={}, **values
        )


def succeed(state: PoolState, ref: str, value: Any) -> None:
    _finish(state, ref, status="success", result=result_text(value))


def fail(state: PoolState, ref: str, error: ApiError) -> None:
    if error.code == "TASK_CANCELLED":
        _finish(state, ref, status="cancelled", error_info=error.description)
    else:
        _finish(state, ref, status="failure", error_info=error.description)


def progress(state: PoolState, ref: str, value: float) -> None:
    """Sets the progress of a pending task; whole percents only, so that events stay few."""
    with state.store.lock:
        if not state.store.exists("task", ref) or state.store.get("task", ref, "status") != "pending":
            return
        shown = int(value * 100) / 100
        if state.store.get("task", ref, "progress") != shown:
            state.store.set("task", ref, progress=shown)


def cancelling(state: PoolState, ref: str) -> bool:
    """Whether task.cancel was called on it."""
    with state.store.lock:
        if not state.store.exists("task", ref):
            return False
        return "cancel" in state.store.get("task", ref, "current_operations").values()


def vanish(state: PoolState, ref: str) -> None:
    """The task is gone, as after a restart of the coordinator's database."""
    with state.store.lock:
        if state.store.exists("task", ref):
            state.store.remove("task", ref)
