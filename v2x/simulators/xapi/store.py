# SPDX-License-Identifier: Apache-2.0
"""The database: records by reference, relations kept both ways, and the generations that events are read from."""

import copy
import threading
import uuid as uuid_module
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

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
        self._rows: dict[str, dict[str, _Row]] = {name: {} for name in self.model.classes}
        self._uuids: dict[tuple[str, str], str] = {}
        self._computed: dict[tuple[str, str], Computed] = {}
        self._links: dict[str, list[tuple[str, str, str]]] = {}
        self._back: dict[tuple[str, str], dict[str, list[str]]] = {}
        for cls, name, other, other_field in self.model.relations:
            if (cls, name) == (other, other_field):
                continue
            self._links.setdefault(cls, []).append((name, other, other_field))
            self._back[other, other_field] = {}

    def compute(self, cls: str, name: str, how: Computed) -> None:
        """Field `name` of `cls` is from now on `how(ref, values)` whenever it is read."""
        self._computed[cls, name] = how

    # changes

    def _tick(self) -> int:
        self.generation += 1
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
            now = self._tick()
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
            row.changed = self._tick()

    def touch(self, cls: str, ref: str) -> None:
        """Something computed changed: `ref` gets a mod event. An unknown reference is left alone."""
        with self.lock:
            row = self._rows.get(cls, {}).get(ref)
            if row is not None:
                row.changed = self._tick()

    def remove(self, cls: str, ref: str) -> None:
        with self.lock:
            row = self._row(cls, ref)
            for name, other, other_field in self._links.get(cls, ()):
                self._unlink(ref, row.values[name], other, other_field)
            del self._rows[cls][ref]
            self._uuids.pop((cls, row.values.get("uuid", "")), None)
            self.removals.append(Removal(cls, ref, row.created, self._tick()))

    def _targets(self, value: Any) -> Iterable[str]:
        return value if isinstance(value, list) else (value,)

    def _link(self, ref: str, value: Any, other: str, other_field: str) -> None:
        for target in self._targets(value):
            if target and target != NULL:
                self._back[other, other_field].setdefault(target, []).append(ref)
                self.touch(other, target)

    def _unlink(self, ref: str, value: Any, other: str, other_field: str) -> None:
        for target in self._targets(value):
            held = self._back[other, other_field].get(target, [])
            if ref in held:
                held.remove(ref)
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

    def record(self, cls: str, ref: str) -> Record:
        """All fields a client sees; internal ones are left out."""
        with self.lock:
            self._row(cls, ref)
            fields = self.model.classes[cls].fields.values()
            return {f.name: self.get(cls, ref, f.name) for f in fields if not f.internal_only}

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

    def changes(self, since: int) -> list[tuple[int, str, str, str]]:
        """(generation, operation, class, ref) of all records of event classes that changed after `since`."""
        with self.lock:
            told: list[tuple[int, str, str, str]] = []
            for cls, rows in self._rows.items():
                if not self.model.classes[cls].has_events:
                    continue
                for ref, row in rows.items():
                    if row.changed > since:
                        told.append((row.changed, "add" if row.created > since else "mod", cls, ref))
            for gone in self.removals:
                if gone.removed > since >= gone.created and self.model.classes[gone.cls].has_events:
                    told.append((gone.removed, "del", gone.cls, gone.ref))
            return sorted(told)

    # keeping

    def dump(self, skip: frozenset[str]) -> dict[str, Any]:
        """All records but those of the classes in `skip`, as JSON can hold them."""
        with self.lock:
            out: dict[str, Any] = {}
            for cls, rows in self._rows.items():
                if cls in skip or not rows:
                    continue
                fields = self.model.classes[cls].fields
                out[cls] = {
                    ref: {n: plain(fields[n].type, v) for n, v in row.values.items()} for ref, row in rows.items()
                }
            return out

    def restore(self, saved: dict[str, Any]) -> None:
        with self.lock:
            for cls, rows in saved.items():
                fields = self.model.classes[cls].fields
                for ref, values in rows.items():
                    kept = {n: restore(fields[n].type, v) for n, v in values.items() if n in fields}
                    self.add(cls, kept, ref)
