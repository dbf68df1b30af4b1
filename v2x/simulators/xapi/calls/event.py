# SPDX-License-Identifier: Apache-2.0
"""event.from and event.inject (xapi: xapi_event.ml)."""

import re
import time
from typing import Any

from v2x.simulators.xapi.failure import ApiError, handle_invalid
from v2x.simulators.xapi.state import Context, call
from v2x.simulators.xapi.wire import I4

_TOKEN = re.compile(r"(\d{20}),(\d{20})")
_LONGEST_WAIT = 3600.0


def _since(token: str) -> int:
    if token == "":  # nosec B105  # a place in the events, no secret
        return 0
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise ApiError("EVENT_FROM_TOKEN_PARSE_FAILURE", token)
    return int(found.group(1))


def _token(generation: int) -> str:
    return f"{generation:020d},{generation:020d}"


class _Subscription:
    """Which classes and references one event.from asks for; class names in any case."""

    def __init__(self, items: list[str], known: set[str]) -> None:
        self.everything = False
        self.classes: set[str] = set()
        self.refs: set[tuple[str, str]] = set()
        for item in items:
            cls, slash, ref = item.partition("/")
            name = cls.lower()
            if item == "*":
                self.everything = True
            elif name not in known or (slash and not ref):
                raise ApiError("EVENT_SUBSCRIPTION_PARSE_FAILURE", item)
            elif slash and ref != "*":
                self.refs.add((name, ref))
            else:
                self.classes.add(name)

    def wants(self, cls: str, ref: str) -> bool:
        return self.everything or cls in self.classes or (cls, ref) in self.refs


def _event(context: Context, generation: int, operation: str, cls: str, ref: str) -> dict[str, Any]:
    name = context.state.model.classes[cls].event_name
    event = {"id": str(generation), "timestamp": "0.0", "class": name, "operation": operation, "ref": ref}
    if operation != "del":
        return event | {"snapshot": context.store.record(cls, ref)}
    return event


@call("event.from", unlocked=True)
def from_(context: Context, classes: list[str], token: str, timeout: float) -> dict[str, Any]:
    """Waits for a change that the subscription wants, or for the timeout."""
    state, store = context.state, context.store
    names = {c: m.event_name for c, m in state.model.classes.items() if m.has_events}
    known = {m.event_name for m in state.model.classes.values()}  # one without events may be asked for
    wanted = _Subscription(classes, known)
    since = _since(token)
    scanned = since  # what was looked at once and concerned somebody else is not looked at again
    deadline = time.monotonic() + min(max(timeout, 0.0), _LONGEST_WAIT)
    with store.changed:
        while True:
            if state.sessions.find(context.session_ref) is None:
                raise ApiError("SESSION_INVALID", context.session_ref)
            found = [c for c in store.changes(scanned, since) if wanted.wants(names[c[2]], c[3])]
            scanned = store.generation
            left = deadline - time.monotonic()
            if found or left <= 0 or state.stopping.is_set():
                break
            store.changed.wait(min(left, 1.0))
        counts = {name: I4(len(store.refs(cls))) for cls, name in names.items()}
        return {
            "events": [_event(context, *change) for change in found],
            "valid_ref_counts": counts,
            "token": _token(store.generation),
        }


@call("event.inject")
def inject(context: Context, cls: str, ref: str) -> str:
    """A mod event for `ref`; the token is a barrier behind all earlier changes."""
    known = {m.event_name: c for c, m in context.state.model.classes.items() if m.has_events}
    name = known.get(cls.lower(), cls)
    if not context.store.exists(name, ref):
        raise handle_invalid(cls, ref)
    context.store.touch(name, ref)
    return _token(context.store.generation)


@call("event.get_current_id")
def current_id(context: Context) -> int:
    return context.store.generation


# the calls that event.from has replaced


@call("event.register")
def register(context: Context, classes: list[str]) -> None:
    """From now on event.next tells this session of `classes`, in addition to those before."""
    assert context.session is not None
    known = {m.event_name for m in context.state.model.classes.values()}
    _Subscription(classes, known)
    context.session.classes |= set(classes)
    context.session.told_upto = max(context.session.told_upto, context.store.generation)


@call("event.unregister")
def unregister(context: Context, classes: list[str]) -> None:
    assert context.session is not None
    context.session.classes -= set(classes)


@call("event.next", unlocked=True)
def next_(context: Context) -> list[dict[str, Any]]:
    """Blocks until something has happened to a registered class."""
    session = context.session
    assert session is not None
    if not session.classes:
        raise ApiError("SESSION_NOT_REGISTERED", session.ref)
    told = from_(context, sorted(session.classes), _token(session.told_upto), _LONGEST_WAIT)
    session.told_upto = _since(told["token"])
    return [
        event | {"timestamp": "0.0", "obj_uuid": event.get("snapshot", {}).get("uuid", "")} for event in told["events"]
    ]
