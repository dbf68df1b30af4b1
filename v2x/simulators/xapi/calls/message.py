# SPDX-License-Identifier: Apache-2.0
"""message: notes to the administrator that hang on an object."""

from v2x.simulators.xapi.datamodel import DateTime
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import Context, call
from v2x.simulators.xapi.store import Record


@call("message.create")
def create(context: Context, name: str, priority: int, cls: str, obj_uuid: str, body: str) -> str:
    known = next((c for c in context.state.model.classes if c.lower() == cls.lower()), cls)
    try:
        context.store.by_uuid(known, obj_uuid)
    except ApiError:
        raise ApiError("UUID_INVALID", cls, obj_uuid) from None
    values = {"name": name, "priority": priority, "cls": cls, "obj_uuid": obj_uuid, "body": body}
    return context.store.add("message", {**values, "timestamp": context.state.now()})


@call("message.destroy")
def destroy(context: Context, message: str) -> None:
    context.store.remove("message", message)


@call("message.get_since")
def get_since(context: Context, since: DateTime) -> dict[str, Record]:
    records = {m: context.store.record("message", m) for m in context.store.refs("message")}
    return {m: r for m, r in records.items() if r["timestamp"] > since}


@call("message.get")
def get(context: Context, cls: str, obj_uuid: str, since: DateTime) -> dict[str, Record]:
    found = get_since(context, since)
    return {m: r for m, r in found.items() if (r["cls"], r["obj_uuid"]) == (cls, obj_uuid)}


@call("message.destroy_many")
def destroy_messages(context: Context, messages: list[str]) -> None:
    for message in messages:
        context.store.remove("message", message)
