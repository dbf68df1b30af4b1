# SPDX-License-Identifier: Apache-2.0
"""Tasks: work that goes on after its call was answered, with progress, a result or a fault."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pyVmomi import vim, vmodl

from v2x.simulators.vsphere.dispatch import method, named_fault
from v2x.simulators.vsphere.state import Context, State
from v2x.simulators.vsphere.store import Entity

_STEPS = 20
_RECENT = 20
_TICK_SECONDS = 0.02

Work = Callable[["Running"], Any]


class Running:
    """What the work of a task is given: the way to show progress, and to wait."""

    def __init__(self, state: State, entity: Entity, name: str) -> None:
        self.state = state
        self.entity = entity
        self._fault = state.faults.take("fail_task", name)

    @property
    def info(self) -> Any:
        return self.entity.values["info"]

    def progress(self, percent: int) -> None:
        """Raises the armed fault once so much is done, RequestCanceled when somebody has cancelled the task."""
        fault = self._fault
        if fault is not None and percent >= fault.at:
            self._fault = None
            raise named_fault(fault.name or "vim.fault.FileFault")
        if self.info.cancelled:
            raise vmodl.fault.RequestCanceled(msg="The task was canceled by a user.")
        with self.state.store.lock:
            self.info.progress = min(percent, 100)
            self.state.store.touch(self.entity)

    def spend(self, seconds: float) -> None:
        """Lets time pass, with progress from 0 to 95."""
        self.progress(0)
        started = time.monotonic()
        while (spent := time.monotonic() - started) < seconds and not self.state.stopping.is_set():
            self.progress(int(95 * spent / seconds))
            time.sleep(min(_TICK_SECONDS, seconds))
        self.progress(95)


def start(context: Context, on: Entity, name: str, work: Work, *, seconds: float | None = None) -> Any:
    """Begins a task named by its method and returns its reference; the work runs when `seconds` have passed.

    With no delay set the work is done before this returns, which spares tests the waiting.
    """
    state, store = context.state, context.store
    with store.lock:
        moid = store.next_id("task-")
        ref = vim.Task(moid)
        method_name = name.removesuffix("_Task")
        info = vim.TaskInfo(
            key=moid,
            task=ref,
            descriptionId=f"{on.kind.__name__.rpartition('.')[2]}.{method_name[0].lower()}{method_name[1:]}",
            entity=on.ref if issubclass(on.kind, vim.ManagedEntity) else None,
            entityName=store.value(on, "name") if issubclass(on.kind, vim.ManagedEntity) else None,
            state="running",
            cancelled=False,
            cancelable=False,
            reason=vim.TaskReasonUser(userName=context.session.account.user if context.session.account else ""),
            queueTime=datetime.now(UTC),
            startTime=datetime.now(UTC),
            eventChainId=int(moid.removeprefix("task-")),
        )
        task = store.add(vim.Task, moid, info=info)
        _remember(state, on, ref)
    running = Running(state, task, name)
    delay = state.settings.task_delay if seconds is None else seconds
    if delay <= 0:
        _run(running, work, 0)
    else:
        threading.Thread(target=_run, args=(running, work, delay), name=moid, daemon=True).start()
    return ref


def _remember(state: State, on: Entity, ref: Any) -> None:
    for holder in (on, state.store.find("TaskManager") or state.store.find("ha-taskmgr")):
        if holder is not None:
            recent = [*(holder.values.get("recentTask") or []), ref]
            state.store.set(holder, recentTask=recent[-_RECENT:])


def _run(running: Running, work: Work, delay: float) -> None:
    state, info = running.state, running.info
    outcome, result, error = "success", None, None
    try:
        running.spend(delay)
        with state.store.lock:
            result = work(running)
    except vmodl.MethodFault as fault:
        outcome, error = "error", fault
    with state.store.lock:
        info.completeTime = datetime.now(UTC)
        info.state = outcome
        info.error = error
        info.result = result
        info.progress = None
        state.store.touch(running.entity)
    says = {"of": info.descriptionId, "state": outcome, "fault": type(error).__name__ if error is not None else ""}
    state.ledger.record_effect("task", info.entity._moId if info.entity else "", **says)


@method("Task", "CancelTask")
def cancel(context: Context, task: Entity) -> None:
    info = task.values["info"]
    if info.state not in ("queued", "running"):
        raise vim.fault.InvalidState(msg="The task has ended already.")
    if not info.cancelable:
        raise vmodl.fault.NotSupported(msg="The operation cannot be canceled.")
    info.cancelled = True
    context.store.touch(task)
