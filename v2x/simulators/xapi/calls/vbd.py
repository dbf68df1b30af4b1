# SPDX-License-Identifier: Apache-2.0
"""VBD: create with the checks of xapi: xapi_vbd.ml, xapi_vbd_helpers.ml in their order, plug, eject, insert."""

import re

from v2x.simulators.xapi.attach import assert_attachable, assert_idle
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.operations import assert_power
from v2x.simulators.xapi.state import Context, PoolState, call
from v2x.simulators.xapi.store import Record

_DISK_TYPES = frozenset({"system", "user", "ephemeral", "suspend", "crashdump", "metadata", "rrd", "pvs_cache"})
_NAMED = re.compile(r"(?:hd|xvd|sd)([a-z]{1,2})|d(\d{1,4})|(\d{1,4})")
DEVICES = 255


def slot_of(device: str) -> int | None:
    """The slot a userdevice means: `0`, `xvda`, `hda`, `sda` and `d0` are one. None when it means nothing."""
    found = _NAMED.fullmatch(device)
    if found is None:
        return None
    letters, prefixed, number = found.groups()
    if letters:
        value = 0
        for letter in letters:
            value = value * 26 + ord(letter) - ord("a") + 1
        return value - 1
    return int(prefixed or number)


def _used_slots(state: PoolState, vm: str) -> set[int | None]:
    return {slot_of(state.store.get("VBD", v, "userdevice")) for v in state.store.get("VM", vm, "VBDs")}


def free_vbd_devices(state: PoolState, vm: str) -> list[str]:
    used = _used_slots(state, vm)
    return [str(n) for n in range(DEVICES) if n not in used]


def check_vbd(state: PoolState, values: Record) -> str:
    """The constructor's checks; returns the userdevice, autodetect resolved."""
    store, vdi = state.store, values["VDI"]
    if not values["empty"]:
        kind = store.get("VDI", vdi, "type")
        if kind not in _DISK_TYPES:
            raise ApiError("VDI_INCOMPATIBLE_TYPE", vdi, kind)
    if values["type"] == "CD":
        if values["mode"] != "RO":
            raise ApiError("VBD_CDS_MUST_BE_READONLY")
    elif values["empty"]:
        raise ApiError("VBD_NOT_REMOVABLE_MEDIA", "in constructor")
    if values["mode"] == "RW" and store.get("VDI", vdi, "read_only"):
        raise ApiError("VDI_READONLY", vdi)
    vm, device = values["VM"], values["userdevice"]
    for task, operation in store.get("VM", vm, "current_operations").items():
        if operation in ("pool_migrate", "migrate_send"):
            raise ApiError("OTHER_OPERATION_IN_PROGRESS", "VM", vm, operation, task)
    if device == "autodetect":
        return free_vbd_devices(state, vm)[0]
    slot = slot_of(device)
    if slot is None:
        raise ApiError("INVALID_DEVICE", device)
    if slot in _used_slots(state, vm):
        raise ApiError("DEVICE_ALREADY_EXISTS", device)
    return str(device)


def make_vbd(state: PoolState, values: Record) -> str:
    """A VBD record with its metrics."""
    device = check_vbd(state, values)
    suspended = state.store.get("VM", values["VM"], "power_state") == "Suspended"
    made = {
        **values,
        "userdevice": device,
        "VDI": NULL if values["empty"] else values["VDI"],
        "device": values.get("device", "") if suspended else "",
        "currently_attached": suspended and values.get("currently_attached", False),
        "metrics": state.store.add("VBD_metrics", {}),
    }
    return state.store.add("VBD", made)


@call("VBD.create")
def create(context: Context, values: Record) -> str:
    return make_vbd(context.state, values)


@call("VBD.destroy")
def destroy(context: Context, vbd: str) -> None:
    store = context.store
    assert_idle(context.state, "VBD", vbd)
    if store.get("VBD", vbd, "currently_attached"):
        uuid = store.get("VM", store.get("VBD", vbd, "VM"), "uuid")
        raise ApiError("OPERATION_NOT_ALLOWED", f"VBD '{store.get('VBD', vbd, 'uuid')}' still attached to '{uuid}'")
    metrics = store.get("VBD", vbd, "metrics")
    store.remove("VBD", vbd)
    if store.exists("VBD_metrics", metrics):
        store.remove("VBD_metrics", metrics)


def _assert_running_with_drivers(context: Context, vm: str) -> None:
    assert_power(context.state, vm, "running")
    if not context.state.settings.guest_agent and not context.store.get("VM", vm, "is_control_domain"):
        raise ApiError("VM_MISSING_PV_DRIVERS", vm)


@call("VBD.plug")
def plug(context: Context, vbd: str) -> None:
    store = context.store
    vm, vdi = store.get("VBD", vbd, "VM"), store.get("VBD", vbd, "VDI")
    if store.get("VBD", vbd, "currently_attached"):
        raise ApiError("DEVICE_ALREADY_ATTACHED", vbd)
    if store.get("VBD", vbd, "type") == "CD":
        raise ApiError("OPERATION_NOT_ALLOWED", "a CD drive cannot be added to a running HVM guest")
    _assert_running_with_drivers(context, vm)
    assert_attachable(context.state, vdi, store.get("VBD", vbd, "mode"), vbd)
    attach_vbd(context.state, vbd)


def attach_vbd(state: PoolState, vbd: str) -> None:
    """Marks a VBD as attached and names its device."""
    store = state.store
    slot = slot_of(store.get("VBD", vbd, "userdevice")) or 0
    name = f"xvd{chr(ord('a') + slot)}" if slot < 26 else f"xvd{chr(ord('a') + slot // 26 - 1)}{chr(97 + slot % 26)}"
    store.set("VBD", vbd, currently_attached=True, device=name)
    store.touch("VDI", store.get("VBD", vbd, "VDI"))


@call("VBD.unplug", "VBD.unplug_force")
def unplug(context: Context, vbd: str) -> None:
    store = context.store
    if not store.get("VBD", vbd, "currently_attached"):
        raise ApiError("DEVICE_ALREADY_DETACHED", vbd)
    _assert_running_with_drivers(context, store.get("VBD", vbd, "VM"))
    store.set("VBD", vbd, currently_attached=False, device="")
    store.touch("VDI", store.get("VBD", vbd, "VDI"))


@call("VBD.insert")
def insert(context: Context, vbd: str, vdi: str) -> None:
    store = context.store
    if store.get("VBD", vbd, "type") != "CD":
        raise ApiError("VBD_NOT_REMOVABLE_MEDIA", vbd)
    if not store.get("VBD", vbd, "empty"):
        raise ApiError("VBD_NOT_EMPTY", vbd)
    store.get("VDI", vdi, "uuid")
    store.set("VBD", vbd, VDI=vdi, empty=False)


@call("VBD.eject")
def eject(context: Context, vbd: str) -> None:
    store = context.store
    if store.get("VBD", vbd, "type") != "CD":
        raise ApiError("VBD_NOT_REMOVABLE_MEDIA", vbd)
    if store.get("VBD", vbd, "empty"):
        raise ApiError("VBD_IS_EMPTY", vbd)
    store.set("VBD", vbd, VDI=NULL, empty=True)


@call("VBD.assert_attachable")
def check_attachable(context: Context, vbd: str) -> None:
    store = context.store
    assert_attachable(context.state, store.get("VBD", vbd, "VDI"), store.get("VBD", vbd, "mode"), vbd)
