# SPDX-License-Identifier: Apache-2.0
"""The property collector: one-time retrieval with pages, filters, and waiting for updates."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pyVmomi import VmomiSupport, vim, vmodl

from v2x.simulators.vsphere import paths, soap, traversal
from v2x.simulators.vsphere.dispatch import method
from v2x.simulators.vsphere.printing import printed_value
from v2x.simulators.vsphere.state import Context
from v2x.simulators.vsphere.store import ABSENT, Entity

_PC = vmodl.query.PropertyCollector
_POLL_SECONDS = 0.2
_WAIT_LIMIT_SECONDS = 1800.0


def wanted(entity: Entity, spec: Any, version: str) -> list[str] | None:
    """The property paths that a filter spec asks of an object; None when it asks nothing of its type."""
    names: dict[str, None] = {}
    asked = False
    for properties in spec.propSet or ():
        if issubclass(entity.kind, properties.type):
            asked = True
            names.update(dict.fromkeys(paths.all_paths(entity.kind, version) if properties.all else ()))
            names.update(dict.fromkeys(properties.pathSet or ()))
    return list(names) if asked else None


def _check(spec: Any, version: str) -> None:
    """Refuses unknown paths before anything is looked at, as the real server does."""
    for properties in spec.propSet or ():
        for path in properties.pathSet or ():
            paths.check(properties.type, path, version)
    todo = [s for start in spec.objectSet or () for s in start.selectSet or ()]
    while todo:
        each = todo.pop()
        if isinstance(each, _PC.TraversalSpec):
            paths.check(each.type, each.path, version)
            todo.extend(each.selectSet or ())


def _missing(context: Context, entity: Entity, path: str) -> Any:
    """The fault for a property that the caller may not see, or None."""
    account = context.session.account
    if account is None and entity.moid != "ServiceInstance":
        msg = "The session is not authenticated."
        return vim.fault.NotAuthenticated(object=entity.ref, privilegeId="System.Read", msg=msg)
    hidden = account is not None and not account.may("System.Read")
    if (hidden and path not in ("name", "parent")) or context.state.faults.take("missing", path):
        return vim.fault.NoPermission(object=entity.ref, privilegeId="System.Read", msg="")
    return None


# one-time retrieval


@method("PropertyCollector", "RetrievePropertiesEx")
def retrieve_ex(context: Context, _collector: Entity, specSet: Any, options: Any) -> soap.Text | None:
    with context.store.lock:
        for spec in specSet:
            _check(spec, context.version)
        found = [(e, names) for spec in specSet for e, names in _found(context, spec)]
    return _page(context, found, (options.maxObjects or 0) if options is not None else 0)


@method("PropertyCollector", "ContinueRetrievePropertiesEx")
def continue_ex(context: Context, _collector: Entity, token: str) -> soap.Text | None:
    kept = context.state.pages.pop(token, None)
    if kept is None or kept[0] != context.session.key:
        raise vmodl.fault.InvalidArgument(invalidProperty="token", msg="A specified parameter was not correct: token")
    return _page(context, kept[1], kept[2])


@method("PropertyCollector", "CancelRetrievePropertiesEx")
def cancel_ex(context: Context, _collector: Entity, token: str) -> None:
    if context.state.pages.pop(token, None) is None:
        raise vmodl.fault.InvalidArgument(invalidProperty="token", msg="A specified parameter was not correct: token")


@method("PropertyCollector", "RetrieveProperties")
def retrieve(context: Context, _collector: Entity, specSet: Any) -> Any:
    """The older call without pages; its result is an array, not an object with one."""
    with context.store.lock:
        for spec in specSet:
            _check(spec, context.version)
        return [
            content
            for spec in specSet
            for e, names in _found(context, spec)
            for content in [_content(context, e, names)]
        ] or None


def _found(context: Context, spec: Any) -> Iterator[tuple[Entity, list[str]]]:
    for entity in traversal.selected(context.store, spec, context.version):
        names = wanted(entity, spec, context.version)
        if names is not None:
            yield entity, names


def _page(context: Context, found: list[tuple[Entity, list[str]]], most: int) -> soap.Text | None:
    if not found:
        return None
    cap = context.state.settings.page_objects
    size = min(n for n in (most, cap, len(found)) if n)
    with context.store.lock:
        xml = "".join(_printed(context, entity, names) for entity, names in found[:size])
    token = ""  # nosec B105  # where a page ends, no secret
    if found[size:]:
        token = context.store.next_id("page-")
        context.state.pages[token] = (context.session.key, found[size:], most)
    return soap.Text((f"<token>{token}</token>" if token else "") + xml)


def _printed(context: Context, entity: Entity, names: list[str]) -> str:
    """`<objects>` with the properties of one object."""
    if context.store.find(entity.moid) is None:
        return ""  # gone between two pages
    parts = [f'<objects><obj type="{entity.kind._wsdlName}">{entity.moid}</obj>']
    missing = []
    for name in names:
        fault = _missing(context, entity, name)
        if fault is not None:
            missing.append(_PC.MissingProperty(path=name, fault=fault))
            continue
        xml = printed_value(context.store, entity, name, context.version)
        if xml:
            parts.append(f"<propSet><name>{name}</name>{xml}</propSet>")
    parts += [soap.printed(m, "missingSet", _PC.MissingProperty, context.version) for m in missing]
    return "".join(parts) + "</objects>"


def _content(context: Context, entity: Entity, names: list[str]) -> Any:
    content = _PC.ObjectContent(obj=entity.ref)
    for name in names:
        fault = _missing(context, entity, name)
        if fault is not None:
            content.missingSet.append(_PC.MissingProperty(path=name, fault=fault))
            continue
        value = paths.read(context.store, entity, name, context.version)
        if value is not ABSENT:
            content.propSet.append(vmodl.DynamicProperty(name=name, val=value))
    return content


# filters and updates


@dataclass(slots=True)
class _Filter:
    """A filter's spec, and what was told of its objects last: id → path → printed value."""

    spec: Any
    told: dict[str, dict[str, str]] = field(default_factory=dict)


@method("PropertyCollector", "CreatePropertyCollector")
def create_collector(context: Context, _collector: Entity) -> Any:
    made = context.store.add(_PC, context.store.next_id("propertyCollector-"), filter=[])
    context.session.objects.add(made.moid)
    return made.ref


@method("PropertyCollector", "DestroyPropertyCollector")
def destroy_collector(context: Context, collector: Entity) -> None:
    if collector.moid not in context.session.objects:
        raise vmodl.fault.InvalidArgument(msg="The default collector cannot be destroyed")
    for ref in list(_filters(context, collector)):
        _drop(context, ref)
    context.store.remove(collector)


@method("PropertyCollector", "CreateFilter")
def create_filter(context: Context, collector: Entity, spec: Any, partialUpdates: bool) -> Any:
    _check(spec, context.version)
    made = context.store.add(
        _PC.Filter,
        context.store.next_id(f"filter-{context.session.key[-6:]}-"),
        spec=spec,
        partialUpdates=partialUpdates,
        _kept=_Filter(spec),
        _owner=(context.session.key, collector.moid),
    )
    context.session.objects.add(made.moid)
    return made.ref


@method("PropertyFilter", "DestroyPropertyFilter")
def destroy_filter(context: Context, each: Entity) -> None:
    _drop(context, each)


def _drop(context: Context, each: Entity) -> None:
    context.session.objects.discard(each.moid)
    context.store.remove(each)


def _filters(context: Context, collector: Entity) -> list[Entity]:
    """The caller's filters in a collector: those of the default collector belong to one session each."""
    owner = (context.session.key, collector.moid)
    mine = (context.store.find(moid) for moid in list(context.session.objects))
    return [e for e in mine if e is not None and e.values.get("_owner") == owner]


@method("PropertyCollector", "WaitForUpdatesEx")
def wait_ex(context: Context, collector: Entity, version: str | None, options: Any) -> Any:
    seconds, most = _WAIT_LIMIT_SECONDS, 0
    if options is not None and options.maxWaitSeconds is not None:
        seconds = options.maxWaitSeconds
    if options is not None and options.maxObjectUpdates is not None:
        most = options.maxObjectUpdates
    return _wait(context, collector, version or "", seconds, most)


@method("PropertyCollector", "WaitForUpdates")
def wait(context: Context, collector: Entity, version: str | None) -> Any:
    return _wait(context, collector, version or "", _WAIT_LIMIT_SECONDS)


@method("PropertyCollector", "CheckForUpdates")
def check_for_updates(context: Context, collector: Entity, version: str | None) -> Any:
    return _wait(context, collector, version or "", 0)


@method("PropertyCollector", "CancelWaitForUpdates")
def cancel_wait(context: Context, collector: Entity) -> None:
    context.store.set(collector, _cancelled=time.monotonic())


def _wait(context: Context, collector: Entity, version: str, seconds: float, most: int = 0) -> Any:
    """The next updates, at most `most` objects of a filter at once (0: all); None when nothing happens in time."""
    state, store = context.state, context.store
    started = time.monotonic()
    if version and not version.isdigit():
        raise vmodl.query.InvalidCollectorVersion(msg="")
    with store.lock:
        if not version:
            for each in _filters(context, collector):
                each.values["_kept"].told.clear()
        while True:
            at = store.count
            told = [_update(context, each, most) for each in _filters(context, collector)]
            updates = [update for update, _ in told if update is not None]
            if updates:
                store.count += 1
                more = any(left for _, left in told)
                return _PC.UpdateSet(version=str(store.count), filterSet=updates, truncated=more)
            while store.count == at:
                left = started + seconds - time.monotonic()
                if left <= 0 or state.stopping.is_set():
                    return None
                if context.session.account is None:
                    raise vim.fault.NotAuthenticated(
                        object=collector.ref, privilegeId="System.View", msg="The session is not authenticated."
                    )
                if collector.values.get("_cancelled", 0) > started:
                    raise vmodl.fault.RequestCanceled(msg="")
                store.changed.wait(min(left, _POLL_SECONDS))


def _update(context: Context, each: Entity, most: int) -> tuple[Any, bool]:
    """What has changed for a filter since it was told last, or None; and whether more has than `most` objects."""
    kept: _Filter = each.values["_kept"]
    objects = []
    found = {e.moid: (e, names) for e, names in _found(context, kept.spec)}
    for moid in [m for m in kept.told if m not in found]:
        del kept.told[moid]
        gone = context.store.find(moid)
        kind = gone.ref if gone is not None else VmomiSupport.ManagedObject(moid)
        objects.append(_PC.ObjectUpdate(kind="leave", obj=kind))
    for entity, names in found.values():
        known = kept.told.get(entity.moid)
        now = {n: printed_value(context.store, entity, n, context.version) for n in names}
        if known == now:
            continue
        if most and len(objects) >= most:
            return _PC.FilterUpdate(filter=each.ref, objectSet=objects), True
        changes = _changes(context, entity, known or {}, now)
        kept.told[entity.moid] = now
        objects.append(_PC.ObjectUpdate(kind="enter" if known is None else "modify", obj=entity.ref, changeSet=changes))
    return (_PC.FilterUpdate(filter=each.ref, objectSet=objects) if objects else None), False


def _changes(context: Context, entity: Entity, known: dict[str, str], now: dict[str, str]) -> list[Any]:
    changes = []
    for name, text in now.items():
        if known.get(name, "") == text:
            continue
        value = paths.read(context.store, entity, name, context.version)
        unset = value is ABSENT
        changes.append(_PC.Change(name=name, op="assign", val=None if unset else value))
    return changes
