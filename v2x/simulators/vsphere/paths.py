# SPDX-License-Identifier: Apache-2.0
"""Property paths: `config.hardware.device`, `config.extraConfig["sched.cpu.latencySensitivity"]`, `device[4000]`."""

import re
from typing import Any

from pyVmomi import VmomiSupport, vmodl

from v2x.simulators.vsphere.store import ABSENT, Entity, Store

_STEP = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:\[(?P<key>\"[^\"]*\"|-?\d+)\])?(?:\.|$)")


def invalid(path: str) -> Exception:
    """The fault that the collector answers to a path that its type does not have."""
    fault: Exception = vmodl.query.InvalidProperty(name=path, msg="")
    return fault


def _steps(path: str) -> list[tuple[str, str | None]]:
    steps, at = [], 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise invalid(path)
        steps.append((found["name"], found["key"]))
        at = found.end()
    if not steps or path.endswith("."):
        raise invalid(path)
    return steps


def _field(kind: type, name: str, version: str) -> Any:
    """The description of a field, or None where the type has none in this version."""
    try:
        info = VmomiSupport.GetPropertyInfo(kind, name)
    except AttributeError:
        return None
    return info if VmomiSupport.IsChildVersion(version, info.version) else None


def check(kind: Any, path: str, version: str) -> None:
    """Raises InvalidProperty where objects of `kind` can have no such path.

    Below a field whose type has subtypes only the value itself can tell, as it is for the real server.
    """
    picked = False
    for name, key in _steps(path):
        info = None if issubclass(kind, list) else _field(kind, name, version)
        if info is None and picked:
            return
        if info is None:
            raise invalid(path)
        kind = info.type
        if key is not None:
            if not issubclass(kind, list):
                raise invalid(path)
            kind, picked = kind.Item, True
        if kind is object:
            return


def read(store: Store, entity: Entity, path: str, version: str) -> Any:
    """The value at a path of an object; ABSENT where something on the way is not set. Raises InvalidProperty."""
    if store.imitate is not None and "_like" in entity.values and _steps(path)[0][0] not in entity.values:
        return store.imitate(entity, path)  # the one value, not the whole object around it
    value: Any = ABSENT
    for number, (name, key) in enumerate(_steps(path)):
        holder = entity.kind if number == 0 else type(value)
        info = None if isinstance(value, list) else _field(holder, name, version)
        if info is None:
            raise invalid(path)
        value = store.value(entity, name) if number == 0 else getattr(value, name, None)
        if number and isinstance(value, list) and not value and info.flags & VmomiSupport.F_OPTIONAL:
            return ABSENT  # an array that is not set and an empty one look alike below an object
        if value is None or value is ABSENT:
            return ABSENT
        if isinstance(value, list) and not isinstance(value, VmomiSupport.Array):
            value = info.type(value)
        if key is not None:
            value = _item(value, key)
            if value is ABSENT:
                return ABSENT
    return value


def _item(array: Any, key: str) -> Any:
    wanted = key.strip('"')
    for item in array:
        if str(getattr(item, "key", getattr(item, "_moId", ""))) == wanted:
            return item
    return ABSENT


def all_paths(kind: type, version: str) -> list[str]:
    """The names of all properties of a managed type, as `all` in a property spec means them."""
    names = []
    for base in kind.__mro__:
        for info in getattr(base, "_propList", ()):
            if VmomiSupport.IsChildVersion(version, info.version) and info.name not in names:
                names.append(info.name)
    return names
