# SPDX-License-Identifier: Apache-2.0
"""task: create, destroy, cancel and the setters of one's own task (xapi: taskHelper.ml, xapi_task.ml)."""

from v2x.simulators.xapi import tasks
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import Context, call


def _own(context: Context, ref: str, permission: str) -> None:
    """A task of somebody else needs the permission to handle any."""
    owner = context.store.values("task", ref)["session"]
    if context.session is not None and owner != context.session.ref:
        context.state.sessions.assert_role(context.session, permission, "pool-operator")


@call("task.create")
def create(context: Context, label: str, description: str) -> str:
    return tasks.create(context.state, label, description=description, session=context.session_ref, host=context.host)


@call("task.destroy")
def destroy(context: Context, ref: str) -> None:
    _own(context, ref, "task.destroy/any")
    context.store.remove("task", ref)


@call("task.cancel")
def cancel(context: Context, ref: str) -> None:
    """Only a note; whether anything looks at it depends on the operation."""
    _own(context, ref, "task.cancel/any")
    store = context.store
    if store.get("task", ref, "status") != "pending":
        raise ApiError("OPERATION_NOT_ALLOWED", "The task is already finished")
    store.set("task", ref, current_operations={f"cancel-{store.generation}": "cancel"})


@call("task.set_status")
def set_status(context: Context, ref: str, value: str) -> None:
    _own(context, ref, "task.set_status/any")
    context.store.set("task", ref, status=value)


@call("task.set_progress")
def set_progress(context: Context, ref: str, value: float) -> None:
    _own(context, ref, "task.set_progress/any")
    context.store.set("task", ref, progress=value)
