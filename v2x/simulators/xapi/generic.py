# SPDX-License-Identifier: Apache-2.0
"""The calls that every class has: getters, setters, maps, sets, records, and plain constructors."""

from typing import Any

from v2x.simulators.xapi import filters
from v2x.simulators.xapi.datamodel import Message
from v2x.simulators.xapi.failure import ApiError, internal
from v2x.simulators.xapi.state import Context

_EVERYWHERE = frozenset(
    {
        *("get_record", "get_by_uuid", "get_by_name_label", "get_all", "get_all_where"),
        *("get_all_records", "get_all_records_where"),
    }
)


def carry_out(context: Context, message: Message, args: list[Any]) -> Any:
    """A call that has no code of its own. INTERNAL_ERROR for one the simulated pool cannot carry out."""
    kind = message.kind
    if message.name in _EVERYWHERE:  # the class message declares these as custom calls
        return _implicit(context, message, args)
    if kind == "getter":
        return context.store.get(message.cls, args[0], message.name.removeprefix("get_"))
    if kind == "constructor":
        return context.store.add(message.cls, args[0])
    if kind == "destructor":
        return context.store.remove(message.cls, args[0])
    return _change(context, message, args)


def _implicit(context: Context, message: Message, args: list[Any]) -> Any:
    store, cls = context.store, message.cls
    if message.name == "get_record":
        return store.record(cls, args[0])
    if message.name == "get_by_uuid":
        return store.by_uuid(cls, args[0])
    if message.name == "get_by_name_label":
        return store.find(cls, name_label=args[0])
    refs = store.refs(cls)
    if message.name.endswith("_where"):
        keep = filters.parse(args[0])
        refs = [r for r in refs if keep(store.record(cls, r))]
    if message.name.startswith("get_all_records"):
        return {ref: store.record(cls, ref) for ref in refs}
    return refs


def _change(context: Context, message: Message, args: list[Any]) -> None:
    fields = context.state.model.classes[message.cls].fields
    for prefix, change in (
        ("set_", _set),
        ("add_to_", _add_to),
        ("remove_from_", _remove_from),
        ("add_", _add),
        ("remove_", _remove),
    ):
        name = message.name.removeprefix(prefix)
        if message.name.startswith(prefix) and name in fields:
            return change(context, message.cls, args[0], name, args[1:])
    raise internal(f"the simulated pool does not carry out {message.full_name}")


def _set(context: Context, cls: str, ref: str, name: str, args: list[Any]) -> None:
    context.store.set(cls, ref, **{name: args[0]})


def _add_to(context: Context, cls: str, ref: str, name: str, args: list[Any]) -> None:
    held = context.store.get(cls, ref, name)
    key, value = args
    if key in held:
        raise ApiError("MAP_DUPLICATE_KEY", cls, name, ref, key)
    context.store.set(cls, ref, **{name: {**held, key: value}})


def _remove_from(context: Context, cls: str, ref: str, name: str, args: list[Any]) -> None:
    held = context.store.get(cls, ref, name)
    if args[0] in held:
        del held[args[0]]
        context.store.set(cls, ref, **{name: held})


def _add(context: Context, cls: str, ref: str, name: str, args: list[Any]) -> None:
    held = context.store.get(cls, ref, name)
    if args[0] not in held:
        context.store.set(cls, ref, **{name: [*held, args[0]]})


def _remove(context: Context, cls: str, ref: str, name: str, args: list[Any]) -> None:
    held = context.store.get(cls, ref, name)
    if args[0] in held:
        context.store.set(cls, ref, **{name: [v for v in held if v != args[0]]})
