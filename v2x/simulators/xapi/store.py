# SPDX-License-Identifier: Apache-2.0
"""The database: records by reference, relations kept both ways, and the generations that events are read from."""

import copy
import json
import threading
import uuid as uuid_module
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from v2x.simulators.xapi.datamodel import NULL, Datamodel
from v2x.simulators.xapi.failure import ApiError, handle_invalid
from v2x.simulators.xapi.wire import field_zero, plain, restore

Record = dict[str, Any]
Computed = Callable[[str, Record], Any]


@dataclass(slots=True)
class _Row:
    values: Record
    created: int
    changed: int


@dataclass(frozen=True, slots=True)
class Removal:
    """A record that is gone: when it was made and when it went, in generations."""

    cls: str
    ref: str
    created: int
    removed: int


@dataclass
class Store:
    """Records of all classes. Hold `lock` around a group of changes; `changed` is notified after each one."""

    model: Datamodel
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.changed = threading.Condition(self.lock)
        self.generation = 0
        self.removals: list[Removal] = []
        self._recent: dict[tuple[str, str], int] = {}  # the generation each record changed in, the latest last
        self._rows: dict[str, dict[str, _Row]] = {name: {} for name in self.model.classes}
        self._uuids: dict[tuple[str, str], str] = {}
        self._computed: dict[tuple[str, str], Computed] = {}
        self._links: dict[str, list[tuple[str, str, str]]] = {}
        self._back: dict[tuple[str, str], dict[str, dict[str, None]]] = {}
        self._plans: dict[str, list[tuple[str, Computed | None, dict[str, dict[str, None]] | None]]] = {}
        for cls, name, other, other_field in self.model.relations:
            if (cls, name) == (other, other_field):
                continue
            self._links.setdefault(cls, []).append((name, other, other_field))
            self._back[other, other_field] = {}

    def compute(self, cls: str, name: str, how: Computed) -> None:
        """Field `name` of `cls` is from now on `how(ref, values)` whenever it is read."""
        self._computed[cls, name] = how
        self._plans.pop(cls, None)

    # changes

    def _tick(self, cls: str, ref: str) -> int:
        self.generation += 1
        self._recent.pop((cls, ref), None)
        self._recent[cls, ref] = self.generation
        self.changed.notify_all()
        return self.generation

    def add(self, cls: str, values: Record, ref: str | None = None) -> str:
        """A new record; what `values` leaves out gets its default. Returns the reference."""
        with self.lock:
            ref = ref or f"OpaqueRef:{uuid_module.uuid4()}"
            model = self.model.classes[cls]
            row = {
                f.name: values[f.name] if f.name in values else field_zero(self.model, f) for f in model.fields.values()
            }
            if "uuid" in row and not row["uuid"]:
                row["uuid"] = str(uuid_module.uuid4())
            now = self._tick(cls, ref)
            self._rows[cls][ref] = _Row(row, now, now)
            if "uuid" in row:
                self._uuids[cls, row["uuid"]] = ref
            for name, other, other_field in self._links.get(cls, ()):
                self._link(ref, row[name], other, other_field)
            return ref

    def set(self, cls: str, ref: str, **values: Any) -> None:
        """Changes fields; a change of a relation shows on the other side too."""
        with self.lock:
            row = self._row(cls, ref)
            for name, other, other_field in self._links.get(cls, ()):
                if name in values and values[name] != row.values[name]:
                    self._unlink(ref, row.values[name], other, other_field)
                    self._link(ref, values[name], other, other_field)
            if "uuid" in values:
                self._uuids.pop((cls, row.values["uuid"]), None)
                self._uuids[cls, values["uuid"]] = ref
            row.values.update(values)
            row.changed = self._tick(cls, ref)

    def touch(self, cls: str, ref: str) -> None:
        """Something computed changed: `ref` gets a mod event. An unknown reference is left alone."""
        with self.lock:
            row = self._rows.get(cls, {}).get(ref)
            if row is not None:
                row.changed = self._tick(cls, ref)

    def remove(self, cls: str, ref: str) -> None:
        with self.lock:
            row = self._row(cls, ref)
            for name, other, other_field in self._links.get(cls, ()):
                self._unlink(ref, row.values[name], other, other_field)
            del self._rows[cls][ref]
            self._uuids.pop((cls, row.values.get("uuid", "")), None)
            self.removals.append(Removal(cls, ref, row.created, self._tick(cls, ref)))
            del self._recent[cls, ref]

    def _targets(self, value: Any) -> Iterable[str]:
        return value if isinstance(value, list) else (value,)

    def _link(self, ref: str, value: Any, other: str, other_field: str) -> None:
        for target in self._targets(value):
            if target and target != NULL:
                self._back[other, other_field].setdefault(target, {})[ref] = None
                self.touch(other, target)

    def _unlink(self, ref: str, value: Any, other: str, other_field: str) -> None:
        for target in self._targets(value):
            held = self._back[other, other_field].get(target)
            if held is not None and ref in held:
                del held[ref]
                if not held:
                    del self._back[other, other_field][target]
                self.touch(other, target)

    # reading

    def _row(self, cls: str, ref: str) -> _Row:
        row = self._rows.get(cls, {}).get(ref)
        if row is None:
            raise handle_invalid(cls, ref)
        return row

    def exists(self, cls: str, ref: str) -> bool:
        return ref in self._rows.get(cls, {})

    def refs(self, cls: str) -> list[str]:
        with self.lock:
            return list(self._rows.get(cls, {}))

    def get(self, cls: str, ref: str, name: str) -> Any:
        """One field. HANDLE_INVALID when the record is gone."""
        with self.lock:
            row = self._row(cls, ref)
            computed = self._computed.get((cls, name))
            if computed is not None:
                return computed(ref, row.values)
            back = self._back.get((cls, name))
            if back is not None:
                return list(back.get(ref, ()))
            return copy.copy(row.values[name])

    def total(self, cls: str, refs: Iterable[str], name: str) -> int:
        """The sum of a stored number over many records."""
        with self.lock:
            rows = self._rows[cls]
            return sum(rows[ref].values[name] for ref in refs)

    def _plan(self, cls: str) -> list[tuple[str, Computed | None, dict[str, dict[str, None]] | None]]:
        """How each field a client sees is read: computed, from the other side of a relation, or as stored."""
        plan = self._plans.get(cls)
        if plan is None:
            shown = [f.name for f in self.model.classes[cls].fields.values() if not f.internal_only]
            plan = [(name, self._computed.get((cls, name)), self._back.get((cls, name))) for name in shown]
            self._plans[cls] = plan
        return plan

    def record(self, cls: str, ref: str) -> Record:
        """All fields a client sees; internal ones are left out."""
        with self.lock:
            values = self._row(cls, ref).values
            made: Record = {}
            for name, how, back in self._plan(cls):
                if how is not None:
                    made[name] = how(ref, values)
                elif back is not None:
                    made[name] = list(back.get(ref, ()))
                else:
                    held = values[name]
                    made[name] = held.copy() if isinstance(held, (dict, list)) else held
            return made

    def values(self, cls: str, ref: str) -> Record:
        """The stored fields, the internal ones too, without the computed ones: a copy."""
        with self.lock:
            return {k: copy.copy(v) for k, v in self._row(cls, ref).values.items()}

    def by_uuid(self, cls: str, uuid: str) -> str:
        with self.lock:
            ref = self._uuids.get((cls, uuid))
            if ref is None:
                raise ApiError("UUID_INVALID", cls, uuid)
            return ref

    def find(self, cls: str, **wanted: Any) -> list[str]:
        """References of the records whose stored fields have these values."""
        with self.lock:
            rows = self._rows.get(cls, {})
            return [r for r, row in rows.items() if all(row.values.get(k) == v for k, v in wanted.items())]

    def changes(self, since: int, upto_created: int | None = None) -> list[tuple[int, str, str, str]]:
        """(generation, operation, class, ref) of all records of event classes that changed after `since`.

        A record made after `upto_created` (when not given: after `since`) is told as added, and not at all when it
        is gone again. Costs what has changed, however many records there are.
        """
        known = since if upto_created is None else upto_created
        with self.lock:
            told: list[tuple[int, str, str, str]] = []
            for (cls, ref), changed in reversed(self._recent.items()):
                if changed <= since:
                    break
                if self.model.classes[cls].has_events:
                    told.append((changed, "add" if self._rows[cls][ref].created > known else "mod", cls, ref))
            for gone in reversed(self.removals):
                if gone.removed <= since:
                    break
                if known >= gone.created and self.model.classes[gone.cls].has_events:
                    told.append((gone.removed, "del", gone.cls, gone.ref))
            return sorted(told)

    # keeping

    def unsaved(self, since: int, skip: frozenset[str]) -> tuple[list[tuple[str, str, str]], list[tuple[str, str]]]:
        """Records that changed after generation `since` as (class, ref, JSON), and (class, ref) of those that went.

        The oldest comes first: what refers to it does so in the same order again after `restore`.
        """
        with self.lock:
            found = []
            for (cls, ref), generation in reversed(self._recent.items()):
                if generation <= since:
                    break
                if cls not in skip:
                    found.append((self._rows[cls][ref].created, cls, ref))
            changed = [(cls, ref, self._packed(cls, ref)) for _created, cls, ref in sorted(found)]
            gone = []
            for removal in reversed(self.removals):
                if removal.removed <= since:
                    break
                gone.append((removal.cls, removal.ref))
            return changed, gone

    def _packed(self, cls: str, ref: str) -> str:
        fields = self.model.classes[cls].fields
        values = self._rows[cls][ref].values
        return json.dumps({n: plain(fields[n].type, v) for n, v in values.items()}, separators=(",", ":"))

    def restore(self, saved: Iterable[tuple[str, str, str]]) -> None:
        """Takes up (class, ref, JSON) in their order."""
        with self.lock:
            for cls, ref, packed in saved:
                fields = self.model.classes[cls].fields
                values = msgspec.json.decode(packed)
                self.add(cls, {n: restore(fields[n].type, v) for n, v in values.items() if n in fields}, ref)
