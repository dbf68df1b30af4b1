# SPDX-License-Identifier: Apache-2.0
"""ova.xml of an export: the VM and all it refers to, every reference an id (xapi: export.ml)."""

from dataclasses import dataclass
from typing import Any

from v2x.simulators.xapi.datamodel import NULL, Type
from v2x.simulators.xapi.state import PoolState
from v2x.simulators.xapi.transfer.xva_objects import XAPI_VERSION
from v2x.simulators.xapi.wire import plain
from v2x.simulators.xapi.xmlrpc import value_xml

_ORDER = ("host", "SR", "VDI", "VM_guest_metrics", "VM_metrics", "VM", "network", "VBD", "VIF", "VTPM")


@dataclass(frozen=True, slots=True)
class Document:
    """`disks` are the streamed VDIs: id → reference."""

    xml: bytes
    disks: dict[str, str]


def document_of(state: PoolState, vm: str, *, preserve_power_state: bool = False) -> Document:
    """The document for one VM."""
    members = _members(state, vm)
    idents = {ref: f"Ref:{number}" for number, (_cls, ref) in enumerate(members)}
    objects = []
    for cls, ref in members:
        snapshot = _snapshot(state, cls, ref, idents)
        if cls == "VM" and not preserve_power_state:
            snapshot |= {"power_state": "Halted", "suspend_VDI": NULL, "resident_on": NULL}
        objects.append({"class": cls, "id": idents[ref], "snapshot": snapshot})
    xml = '<?xml version="1.0"?>' + value_xml({"version": _version(state), "objects": objects})
    return Document(xml.encode(), _streamed(state, vm, idents))


def _members(state: PoolState, vm: str) -> list[tuple[str, str]]:
    """(class, reference) of all that goes along, in the order of the classes."""
    store = state.store
    found: dict[str, dict[str, None]] = {cls: {} for cls in _ORDER}

    def note(cls: str, ref: str) -> bool:
        known = bool(ref) and store.exists(cls, ref)
        if known:
            found[cls][ref] = None
        return known

    note("VM", vm)
    note("VM_metrics", store.get("VM", vm, "metrics"))
    note("VM_guest_metrics", store.get("VM", vm, "guest_metrics"))
    for vbd in store.get("VM", vm, "VBDs"):
        note("VBD", vbd)
        vdi = store.get("VBD", vbd, "VDI")
        if note("VDI", vdi):
            note("SR", store.get("VDI", vdi, "SR"))
    for vif in store.get("VM", vm, "VIFs"):
        note("VIF", vif)
        note("network", store.get("VIF", vif, "network"))
    for vtpm in store.get("VM", vm, "VTPMs"):
        note("VTPM", vtpm)
    return [(cls, ref) for cls in _ORDER for ref in found[cls]]


def _snapshot(state: PoolState, cls: str, ref: str, idents: dict[str, str]) -> dict[str, Any]:
    """All fields, the internal ones too: a reader asks for some of them."""
    made = {}
    for field in state.model.classes[cls].fields.values():
        name = f"vTPM'_{field.name}" if cls == "VTPM" else field.name
        made[name] = plain(field.type, _renamed(field.type, state.store.get(cls, ref, field.name), idents))
    return made


def _renamed(type_: Type, value: Any, idents: dict[str, str]) -> Any:
    if type_.kind == "ref":
        return idents.get(value, NULL)
    if type_.kind == "set":
        kept = [_renamed(type_.args[0], item, idents) for item in value]
        return [item for item in kept if item != NULL]
    if type_.kind == "map":
        key, item = type_.args
        return {_renamed(key, k, idents): _renamed(item, v, idents) for k, v in value.items()}
    return value


def _version(state: PoolState) -> dict[str, str]:
    software = state.store.get("host", state.master, "software_version")
    told = {name: software[name] for name in ("hostname", "date", "product_version", "product_brand", "build_number")}
    major, minor = XAPI_VERSION
    return {**told, "xapi_major": str(major), "xapi_minor": str(minor), "export_vsn": "2"}


def _streamed(state: PoolState, vm: str, idents: dict[str, str]) -> dict[str, str]:
    store, found = state.store, {}
    for vbd in store.get("VM", vm, "VBDs"):
        vdi = store.get("VBD", vbd, "VDI")
        if vdi == NULL or store.get("VBD", vbd, "type") == "CD":
            continue
        if store.get("SR", store.get("VDI", vdi, "SR"), "content_type") != "iso":
            found[idents[vdi]] = vdi
    return found
