# SPDX-License-Identifier: Apache-2.0
"""The datamodel of one xapi version: classes, fields, calls, enums, relations, templates.

Read from datamodel.json.gz beside this module (made by tests/golden/make_xapi_datamodel.py). Every list, default and
role an answer depends on comes from there, so that a class costs no code.
"""

import gzip
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

NULL = "OpaqueRef:NULL"


class DateTime(str):
    """A date in the form xapi sends: `YYYYMMDDTHH:MM:SSZ`."""

    __slots__ = ()


def utc_now() -> DateTime:
    return DateTime(datetime.now(UTC).strftime("%Y%m%dT%H:%M:%SZ"))


EPOCH = DateTime("19700101T00:00:00Z")


@dataclass(frozen=True, slots=True)
class Type:
    """A wire type: `kind` is string, int, float, bool, datetime, enum, ref, record, set, map or option."""

    kind: str
    name: str = ""
    args: tuple["Type", ...] = ()

    def zero(self, enums: dict[str, tuple[str, ...]]) -> Any:
        """What a field of this type holds when nothing was given."""
        if self.kind == "enum":
            return enums[self.name][0]
        made: dict[str, Any] = {"int": 0, "float": 0.0, "bool": False, "datetime": EPOCH, "ref": NULL}
        if self.kind in ("set", "map"):
            return [] if self.kind == "set" else {}
        return made.get(self.kind, "")


@cache
def parse_type(text: str) -> Type:
    """`set(ref VDI)`, `map(string,int)`, `enum vm_operations`, … as a Type."""
    if "(" in text:
        kind, rest = text.split("(", 1)
        return Type(kind, "", tuple(parse_type(part) for part in _split(rest[:-1])))
    kind, _, name = text.partition(" ")
    return Type(kind, name)


def _split(text: str) -> list[str]:
    depth, start, parts = 0, 0, []
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: Type
    qualifier: str
    has_default: bool
    default: Any
    ctor: str
    internal_only: bool
    xva_required: bool


@dataclass(frozen=True, slots=True)
class Param:
    name: str
    type: Type
    has_default: bool
    default: Any


@dataclass(frozen=True, slots=True)
class Message:
    """A call. `kind` is getter, setter, add, remove, implicit, constructor, destructor or custom."""

    cls: str
    name: str
    kind: str
    params: tuple[Param, ...]
    result: Type | None
    role: str
    is_async: bool
    no_session: bool
    pool_internal: bool
    key_roles: dict[str, str]

    @property
    def full_name(self) -> str:
        return f"{self.cls}.{self.name}"

    @property
    def least_params(self) -> int:
        """How many parameters must be there: those before the optional tail."""
        count = len(self.params)
        while count and self.params[count - 1].has_default:
            count -= 1
        return count


@dataclass(frozen=True, slots=True)
class ClassModel:
    name: str
    event_name: str
    has_events: bool
    fields: dict[str, Field]
    messages: dict[str, Message]


@dataclass(frozen=True, slots=True)
class HttpAction:
    method: str
    path: str
    role: str


@dataclass(frozen=True)
class Datamodel:
    """Everything that one version declares. `calls` finds a message by its name with `.` turned into `_`."""

    version: str
    api: tuple[int, int]
    roles: tuple[str, ...]
    classes: dict[str, ClassModel]
    enums: dict[str, tuple[str, ...]]
    errors: frozenset[str]
    actions: tuple[HttpAction, ...]
    relations: tuple[tuple[str, str, str, str], ...]
    templates: tuple[dict[str, Any], ...]
    calls: dict[str, Message]


def _of_version(item: dict[str, Any], version: str) -> dict[str, Any] | None:
    if version not in item.get("in", [version]):
        return None
    changes = item.get("differs", {}).get(version, {})
    if changes is None:
        return None
    merged = {k: v for k, v in item.items() if k not in ("in", "differs")}
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def _kept(items: dict[str, dict[str, Any]], version: str) -> dict[str, dict[str, Any]]:
    return {name: made for name, item in items.items() if (made := _of_version(item, version)) is not None}


def default_of(type_: Type, raw: Any) -> Any:
    if raw is None:
        return None
    if type_.kind == "datetime":
        return DateTime(str(raw).replace("-", ""))
    if type_.kind == "float":
        return float(raw)
    return raw


def _field(name: str, raw: dict[str, Any]) -> Field:
    type_ = parse_type(raw["type"])
    return Field(
        name,
        type_,
        raw["qualifier"],
        "default" in raw,
        default_of(type_, raw.get("default")),
        raw.get("ctor", ""),
        raw.get("internal_only", False),
        raw.get("xva_required", False),
    )


def _message(cls: str, name: str, raw: dict[str, Any]) -> Message:
    params = []
    for param in raw["params"]:
        type_ = parse_type(param["type"])
        params.append(Param(param["name"], type_, "default" in param, default_of(type_, param.get("default"))))
    return Message(
        cls,
        name,
        raw["kind"],
        tuple(params),
        parse_type(raw["result"]) if raw["result"] else None,
        raw["min_role"],
        raw.get("async", False),
        raw.get("no_session", False),
        raw.get("pool_internal", False),
        raw.get("map_key_min_role", {}),
    )


def _implicit(cls: str, fields: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The calls that every class in the database has, for the classes whose calls the datamodel file leaves out."""
    ref = {"name": "self", "type": f"ref {cls}"}
    made: dict[str, dict[str, Any]] = {
        "get_record": {"params": [ref], "result": f"record {cls}"},
        "get_by_uuid": {"params": [{"name": "uuid", "type": "string"}], "result": f"ref {cls}"},
        "get_all": {"params": [], "result": f"set(ref {cls})"},
        "get_all_records": {"params": [], "result": f"map(ref {cls},record {cls})"},
    }
    for call in made.values():
        call |= {"kind": "implicit", "min_role": "read-only"}
    for name, field in fields.items():
        if not field.get("internal_only", False):
            getter = {"kind": "getter", "params": [ref], "result": field["type"], "min_role": "read-only"}
            made[f"get_{name}"] = getter
    return made


def _class(name: str, raw: dict[str, Any], version: str) -> ClassModel:
    kept = _kept(raw["fields"], version)
    fields = {n: _field(n, f) for n, f in kept.items()}
    calls = _kept(raw["messages"], version)
    if not calls and raw["in_database"]:
        calls = _implicit(name, kept)
    messages = {n: _message(name, n, m) for n, m in calls.items()}
    has_events = raw["events"] and name != "role"  # roles are no rows of xapi's database, so they never change
    return ClassModel(name, raw["event_class_name"], has_events, fields, messages)


def _enum(raw: dict[str, Any]) -> tuple[str, ...]:
    absent = raw.get("absent", [])
    return tuple(v for v in [*raw["values"], *raw.get("added", [])] if v not in absent)


@cache
def load(version: str) -> Datamodel:
    """The datamodel of `version` (1.249, 24.19, 25.6, 25.33, 26.1 or head). KeyError for any other."""
    packed = files(__package__).joinpath("datamodel.json.gz").read_bytes()
    raw = json.loads(gzip.decompress(packed))
    major, minor = raw["versions"][version]["api"].split(".")
    classes = {
        name: _class(name, item, version)
        for name, item in raw["classes"].items()
        if version in item.get("in", [version])
    }
    enums = {name: _enum(item) for name, item in _kept(raw["enums"], version).items()}
    actions = (a for item in raw["http_actions"] if (a := _of_version(item, version)) is not None)
    relations = (tuple(r) for r in raw["relations"] if r[0] in classes and r[2] in classes)
    calls = {
        f"{m.cls}_{m.name}": m for c in classes.values() for m in c.messages.values()
    }  # "VM.start" and "VM_start" are one call
    return Datamodel(
        version,
        (int(major), int(minor)),
        tuple(raw["roles"]),
        classes,
        enums,
        frozenset(raw["errors"]),
        tuple(HttpAction(a["method"], a["uri"], a["min_role"]) for a in actions),
        tuple(r for r in relations if r[1] in classes[r[0]].fields and r[3] in classes[r[2]].fields),
        tuple(raw["templates"]),
        calls,
    )
