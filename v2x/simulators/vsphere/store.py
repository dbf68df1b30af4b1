# SPDX-License-Identifier: Apache-2.0
"""The managed objects: their properties by name, and a count of changes that waiting collectors watch."""

import itertools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from pyVmomi import VmomiSupport, vmodl

ABSENT: Any = type("Absent", (), {"__repr__": lambda _self: "ABSENT"})()
"""Stands for a property that is not set."""


class Entity:
    """One managed object. `changed` is the store's count at its last change.

    `values` holds property values and, with a leading underscore, what the stand-in keeps beside them. With `_like`,
    what is not in `values` is read from another object.
    """

    __slots__ = ("changed", "kind", "moid", "ref", "values")

    def __init__(self, kind: Any, moid: str, values: dict[str, Any]) -> None:
        self.kind: Any = kind
        self.moid = moid
        self.ref = kind(moid)
        self.values = values
        self.changed = 0

    def __repr__(self) -> str:
        return f"<{self.kind.__name__} {self.moid}>"


Compute = Callable[[Any, Entity], Any]
_computed: dict[tuple[str, str], Compute] = {}


def computed(kind: str, name: str) -> Callable[[Compute], Compute]:
    """Registers how the property `name` of objects of `kind` (by its name in the API) follows from others."""

    def register(function: Compute) -> Compute:
        _computed[kind, name] = function
        return function

    return register


class Store:
    """All objects by id. Hold `lock` while reading or changing more than one thing."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.count = 0
        self.shape = 0
        """Grows with every object that comes, goes or moves: what a view holds is then looked up again."""
        self._entities: dict[str, Entity] = {}
        self._numbers: defaultdict[str, itertools.count[int]] = defaultdict(lambda: itertools.count(1))
        self.context: Any = None
        """What computed properties are given: the state."""
        self.imitate: Callable[[Entity, str], Any] | None = None
        """Reads a property of an object that is like another (printing.py)."""

    def next_id(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers[prefix])}"

    def add(self, kind: Any, moid: str, **values: Any) -> Entity:
        with self.lock:
            if moid in self._entities:
                raise ValueError(f"{moid} is taken")
            entity = self._entities[moid] = Entity(kind, moid, values)
            self.shape += 1
            self._touch(entity)
            return entity

    def remove(self, entity: Entity) -> None:
        with self.lock:
            del self._entities[entity.moid]
            self.shape += 1
            self._touch(entity)

    def get(self, ref: Any) -> Entity:
        """The object of a reference; raises ManagedObjectNotFound, also when it is of another type."""
        entity = self._entities.get(ref._moId)
        if entity is None or not issubclass(entity.kind, type(ref)):
            shown = f"{VmomiSupport.GetWsdlName(type(ref))}:{ref._moId}"
            raise vmodl.fault.ManagedObjectNotFound(
                obj=ref,
                msg=f"The object 'vim.{shown}' has already been deleted or has not been completely created",
            )
        return entity

    def find(self, moid: str) -> Entity | None:
        return self._entities.get(moid)

    def all(self, kind: type) -> Iterator[Entity]:
        """The objects of a type, in the order in which they came."""
        with self.lock:
            found = [e for e in self._entities.values() if issubclass(e.kind, kind)]
        return iter(found)

    def value(self, entity: Entity, name: str) -> Any:
        """A property's value, or ABSENT."""
        value = entity.values.get(name, ABSENT)
        if value is not ABSENT:
            return value
        if "_like" in entity.values and self.imitate is not None:
            return self.imitate(entity, name)
        for base in entity.kind.__mro__:
            compute = _computed.get((getattr(base, "_wsdlName", ""), name))
            if compute is not None:
                value = compute(self.context, entity)
                return ABSENT if value is None else value
        return ABSENT

    def own(self, entity: Entity, name: str) -> Any:
        """A property's value for changing it in place: what was read from another object is kept from now on."""
        with self.lock:
            like = entity.values.get("_like")
            if like is not None and self.imitate is not None:
                for each in like.pattern.entity.values:
                    if each not in entity.values:
                        entity.values[each] = self.imitate(entity, each)
                del entity.values["_like"]
            return entity.values.get(name, ABSENT)

    def set(self, entity: Entity, **values: Any) -> None:
        """Sets properties; ABSENT unsets one."""
        with self.lock:
            for name, value in values.items():
                if value is ABSENT:
                    entity.values.pop(name, None)
                else:
                    entity.values[name] = value
            self._touch(entity)

    def touch(self, entity: Entity) -> None:
        """Something inside of a property has changed."""
        with self.lock:
            self._touch(entity)

    def moved(self) -> None:
        """The tree of objects has changed."""
        with self.lock:
            self.shape += 1

    def _touch(self, entity: Entity) -> None:
        self.count += 1
        entity.changed = self.count
        self.changed.notify_all()
