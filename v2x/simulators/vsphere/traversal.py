# SPDX-License-Identifier: Apache-2.0
"""Which objects a filter of the property collector selects, and what containers hold."""

from collections.abc import Iterator
from typing import Any

from pyVmomi import VmomiSupport, vim, vmodl

from v2x.simulators.vsphere import paths
from v2x.simulators.vsphere.store import ABSENT, Entity, Store, computed

_PC = vmodl.query.PropertyCollector


def selected(store: Store, spec: Any, version: str) -> Iterator[Entity]:
    """The objects of a filter spec, each once, in the order in which traversal meets them."""
    seen: dict[str, Entity] = {}
    for start in spec.objectSet or ():
        try:
            entity = store.get(start.obj)
        except vmodl.fault.ManagedObjectNotFound:
            if spec.reportMissingObjectsInResults:
                continue
            raise
        if not start.skip:
            seen.setdefault(entity.moid, entity)
        named: dict[str, Any] = {}
        _name(start.selectSet, named)
        _walk(store, entity, start.selectSet, named, version, seen)
    return iter(list(seen.values()))


def _name(specs: Any, named: dict[str, Any]) -> None:
    for spec in specs or ():
        if isinstance(spec, _PC.TraversalSpec):
            if spec.name:
                named[spec.name] = spec
            _name(spec.selectSet, named)


def _walk(
    store: Store, start: Entity, specs: Any, named: dict[str, Any], version: str, seen: dict[str, Entity]
) -> None:
    todo = [(start, spec) for spec in reversed(specs or ())]
    done: set[tuple[str, int]] = set()
    while todo:
        entity, spec = todo.pop()
        if not isinstance(spec, _PC.TraversalSpec):
            if spec.name not in named:
                raise vmodl.fault.InvalidArgument(invalidProperty="selectSet", msg=f"No selection {spec.name}")
            spec = named[spec.name]
        if (entity.moid, id(spec)) in done or not issubclass(entity.kind, spec.type):
            continue
        done.add((entity.moid, id(spec)))
        found: list[tuple[Entity, Any]] = []
        for child in _refs(paths.read(store, entity, spec.path, version)):
            reached = store.find(child._moId)
            if reached is None:
                continue
            if not spec.skip:
                seen.setdefault(reached.moid, reached)
            found.extend((reached, inner) for inner in spec.selectSet or ())
        todo.extend(reversed(found))


def _refs(value: Any) -> Iterator[Any]:
    if isinstance(value, VmomiSupport.ManagedObject):
        yield value
    elif value is not ABSENT and isinstance(value, list):
        yield from value


_HOLDS: tuple[tuple[type, tuple[str, ...]], ...] = (
    (vim.Folder, ("childEntity",)),
    (vim.Datacenter, ("vmFolder", "hostFolder", "datastoreFolder", "networkFolder")),
    (vim.ComputeResource, ("host", "resourcePool")),
    (vim.ResourcePool, ("resourcePool", "vm")),
    (vim.HostSystem, ("vm",)),
)
"""What a container view looks into, by type of the container."""


def children(store: Store, entity: Entity) -> Iterator[Entity]:
    """What lies directly in a container. Machines of a vApp are found in its pool only, as on a real server."""
    for kind, names in _HOLDS:
        if issubclass(entity.kind, kind):
            for name in names:
                for ref in _refs(store.value(entity, name)):
                    child = store.find(ref._moId)
                    if child is not None:
                        yield child


def contained(store: Store, container: Entity, kinds: list[type], recursive: bool) -> list[Entity]:
    """The objects of `kinds` (all without any) below a container, each once."""
    seen = {container.moid}
    found = []
    todo = list(reversed(list(children(store, container))))
    while todo:
        entity = todo.pop()
        if entity.moid in seen:
            continue
        seen.add(entity.moid)
        if not kinds or any(issubclass(entity.kind, kind) for kind in kinds):
            found.append(entity)
        if recursive:
            todo.extend(reversed(list(children(store, entity))))
    return found


@computed("ContainerView", "view")
def _view(state: Any, view: Entity) -> Any:
    store: Store = state.store
    known = view.values.get("_found")
    if known is None or known[0] != store.shape:
        entities = contained(
            store, store.get(view.values["container"]), list(view.values["type"]), view.values["recursive"]
        )
        refs = vim.ManagedEntity.Array([e.ref for e in entities])
        known = view.values["_found"] = (store.shape, refs)
    return known[1]


def inventory_path(store: Store, entity: Entity) -> str:
    """The names from below the root folder down to the object, joined by `/`; names are as the API shows them."""
    names: list[str] = []
    at: Entity | None = entity
    while at is not None:
        parent = store.value(at, "parent")
        if parent is ABSENT or parent is None:
            break
        names.append(store.value(at, "name"))
        at = store.find(parent._moId)
    return "/".join(reversed(names))


def lineage(store: Store, entity: Entity) -> Iterator[Entity]:
    """The object and all that it is in, up to the root folder: what a role granted there propagates to.

    A snapshot belongs to its machine, a manager of automatic starts to its host.
    """
    at: Entity | None = entity
    while at is not None:
        yield at
        if issubclass(at.kind, vim.vm.Snapshot):
            owner = store.value(at, "vm")
        elif issubclass(at.kind, vim.host.AutoStartManager):
            owner = vim.HostSystem(at.moid.replace("autoStartManager-", "host-"))
        else:
            owner = store.value(at, "parent") if issubclass(at.kind, vim.ManagedEntity) else None
        at = None if owner is ABSENT or owner is None else store.find(owner._moId)


def datacenter_of(store: Store, entity: Entity) -> Entity | None:
    at: Entity | None = entity
    while at is not None and not issubclass(at.kind, vim.Datacenter):
        parent = store.value(at, "parent")
        if parent is ABSENT or parent is None:
            host = store.value(at, "runtime") if issubclass(at.kind, vim.VirtualMachine) else ABSENT
            parent = host.host if host is not ABSENT else None
        at = store.find(parent._moId) if parent is not None else None
    return at
