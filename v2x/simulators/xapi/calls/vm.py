# SPDX-License-Identifier: Apache-2.0
"""VM: create, destroy, clone, copy, provision and what devices are free.

Facts: xapi, xapi_templates.ml, xapi_vm.ml, datamodel_vm.ml.
"""

import secrets
import uuid as uuid_module
from typing import Any

from v2x.simulators.xapi.calls.vbd import free_vbd_devices, make_vbd
from v2x.simulators.xapi.calls.vdi import make_vdi, remove_vdi
from v2x.simulators.xapi.calls.vif import free_vif_devices
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError, internal
from v2x.simulators.xapi.operations import GUEST_OPERATIONS, assert_allowed
from v2x.simulators.xapi.state import Context, PoolState, call
from v2x.simulators.xapi.store import Record
from v2x.simulators.xapi.xmlrpc import Malformed, attributes_of

_IGNORED = (
    *("blocked_operations", "protection_policy", "is_snapshot_from_vmpp", "snapshot_schedule", "is_vmss_snapshot"),
)


def fresh_generation_id() -> str:
    return f"{secrets.randbits(63)}:{secrets.randbits(63)}"


def _power_state(values: Record) -> str:
    """Halted, or Suspended for a record that carries everything a suspended VM has."""
    if values.get("power_state") != "Suspended":
        return "Halted"
    complete = (
        values.get("suspend_VDI", NULL) != NULL
        and values.get("last_booted_record")
        and values.get("last_boot_CPU_flags")
    )
    if not complete:
        raise ApiError("VM_BAD_POWER_STATE", NULL, "halted", "suspended")
    return "Suspended"


@call("VM.create")
def create(context: Context, values: Record) -> str:
    return make_vm(context.state, values)


def make_vm(state: PoolState, values: Record) -> str:
    """A VM record with its metrics. Nothing about memory, CPUs, firmware or platform is looked at."""
    kept = {k: v for k, v in values.items() if k not in _IGNORED}
    power_state = _power_state(kept)
    other_config = dict(kept.get("other_config", {}))
    other_config.setdefault("mac_seed", str(uuid_module.uuid4()))
    domain_type = kept.get("domain_type", "unspecified")
    if domain_type == "unspecified":
        domain_type = "hvm" if kept["HVM_boot_policy"] else "pv"
    return state.store.add(
        "VM",
        {
            **kept,
            "power_state": power_state,
            "other_config": other_config,
            "domain_type": domain_type,
            "metrics": state.store.add("VM_metrics", {"last_updated": state.now()}),
            "guest_metrics": NULL,
            "resident_on": NULL,
            "domid": -1,
            "is_control_domain": False,
        },
    )


@call("VM.destroy")
def destroy(context: Context, vm: str) -> None:
    state, store = context.state, context.store
    if store.get("VM", vm, "is_default_template"):
        raise ApiError("VM_CANNOT_DELETE_DEFAULT_TEMPLATE", vm)
    assert_allowed(state, vm, "destroy")
    remove_vm(state, vm)


def remove_vm(state: PoolState, vm: str) -> None:
    """The record and all that hangs on it, but no disk except a suspend image."""
    store = state.store
    for cls, name in (("VBD", "VBDs"), ("VIF", "VIFs"), ("console", "consoles"), ("VTPM", "VTPMs")):
        for ref in store.get("VM", vm, name):
            metrics = store.get(cls, ref, "metrics") if cls in ("VBD", "VIF") else NULL
            store.remove(cls, ref)
            if store.exists(f"{cls}_metrics", metrics):
                store.remove(f"{cls}_metrics", metrics)
    for snapshot in store.get("VM", vm, "snapshots"):
        store.set("VM", snapshot, snapshot_of=NULL)
    values = store.values("VM", vm)
    if state.machines is not None:
        state.machines.forget(values["uuid"])
    store.remove("VM", vm)
    for cls, name in (("VM_metrics", "metrics"), ("VM_guest_metrics", "guest_metrics")):
        if store.exists(cls, values[name]):
            store.remove(cls, values[name])
    if store.exists("VDI", values["suspend_VDI"]):
        remove_vdi(state, values["suspend_VDI"])


@call("VM.provision")
def provision(context: Context, vm: str) -> None:
    """Makes the disks of other_config:disks on the default SR and turns the template into a VM."""
    state, store = context.state, context.store
    if not store.get("VM", vm, "is_a_template"):
        raise ApiError("PROVISION_ONLY_ALLOWED_ON_TEMPLATE")
    assert_allowed(state, vm, "provision")
    other_config = store.get("VM", vm, "other_config")
    for disk in _provision_disks(other_config.pop("disks", "")):
        _provision_disk(state, vm, disk)
    store.set("VM", vm, is_a_template=False, other_config=other_config)


def _provision_disks(text: str) -> list[dict[str, str]]:
    if not text:
        return []
    try:
        return attributes_of(text.encode(), "disk")
    except Malformed as error:
        raise internal(f"other_config:disks: {error}") from None


def _provision_disk(state: PoolState, vm: str, disk: dict[str, str]) -> None:
    store = state.store
    sr = store.by_uuid("SR", disk["sr"]) if disk.get("sr") else store.get("pool", state.pool_ref, "default_SR")
    if not store.exists("SR", sr):
        raise ApiError("DEFAULT_SR_NOT_FOUND", sr)
    size = disk.get("size", "")
    if not size.isdigit():
        raise internal("other_config:disks: no size")
    name = f"{store.get('VM', vm, 'name_label')} {disk.get('device', '0')}"
    values: dict[str, Any] = {
        "name_label": name,
        "SR": sr,
        "virtual_size": int(size),
        "type": disk.get("type", "user"),
        "sharable": False,
        "read_only": False,
        "other_config": {},
    }
    vdi = make_vdi(state, values)
    make_vbd(
        state,
        {
            "VM": vm,
            "VDI": vdi,
            "userdevice": disk.get("device", "autodetect"),
            "bootable": disk.get("bootable") == "true",
            "mode": "RW",
            "type": "Disk",
            "empty": False,
            "other_config": {"owner": ""},
            "qos_algorithm_type": "",
            "qos_algorithm_params": {},
        },
    )


@call("VM.get_allowed_VBD_devices")
def allowed_vbd_devices(context: Context, vm: str) -> list[str]:
    return free_vbd_devices(context.state, vm)


@call("VM.get_allowed_VIF_devices")
def allowed_vif_devices(context: Context, vm: str) -> list[str]:
    return free_vif_devices(context.state, vm)


@call("VM.set_is_a_template")
def set_is_a_template(context: Context, vm: str, value: bool) -> None:
    if value and not context.store.get("VM", vm, "is_a_template"):
        if context.store.exists("VM_appliance", context.store.get("VM", vm, "appliance")):
            raise ApiError("VM_IS_PART_OF_AN_APPLIANCE", vm, context.store.get("VM", vm, "appliance"))
        assert_allowed(context.state, vm, "make_into_template")
    context.store.set("VM", vm, is_a_template=value)


@call("VM.assert_operation_valid")
def assert_operation_valid(context: Context, vm: str, operation: str) -> None:
    """What the call itself would be refused with, as far as the VM alone decides."""
    assert_allowed(context.state, vm, operation)
    values = context.store.values("VM", vm)
    bare = values["power_state"] == "Running" and values["guest_metrics"] == NULL
    if bare and operation in GUEST_OPERATIONS:
        raise ApiError("VM_LACKS_FEATURE", vm)


@call("VM.update_allowed_operations")
def update_allowed_operations(context: Context, vm: str) -> None:
    context.store.touch("VM", vm)
