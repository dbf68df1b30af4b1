# SPDX-License-Identifier: Apache-2.0
"""VM: what is asked of a running guest: vCPUs, memory, keys, plugins; and how it would boot.

Facts: xapi, xapi_vm.ml, xapi_vm_lifecycle.ml. The agent in the guest is the setting `guest_agent`.
"""

from typing import Any

from v2x.simulators.xapi.calls.vm_settings import overhead_bytes
from v2x.simulators.xapi.datamodel import NULL, DateTime
from v2x.simulators.xapi.failure import ApiError, internal, invalid_value
from v2x.simulators.xapi.operations import assert_allowed, assert_power
from v2x.simulators.xapi.state import Context, call


def _assert_agent(context: Context, vm: str) -> None:
    if context.store.get("VM", vm, "guest_metrics") == NULL:
        raise ApiError("VM_LACKS_FEATURE", vm)


@call("VM.set_VCPUs_number_live")
def set_vcpus_live(context: Context, vm: str, count: int) -> None:
    store = context.store
    assert_allowed(context.state, vm, "changing_VCPUs_live")
    if not 1 <= count <= store.get("VM", vm, "VCPUs_max"):
        raise invalid_value("value must be between 1 and VCPUs_max", count)
    _assert_agent(context, vm)
    store.set("VM_metrics", store.get("VM", vm, "metrics"), VCPUs_number=count)
    store.set("VM", vm, VCPUs_at_startup=count)


@call("VM.add_to_VCPUs_params_live")
def add_vcpus_param(context: Context, vm: str, key: str, value: str) -> None:
    assert_allowed(context.state, vm, "changing_VCPUs_live")
    if key not in ("weight", "cap", "mask"):
        raise invalid_value("VCPUs_params", key)
    held = context.store.get("VM", vm, "VCPUs_params")
    context.store.set("VM", vm, VCPUs_params=held | {key: value})


@call("VM.set_memory_target_live")
def set_memory_target(context: Context, vm: str, target: int) -> None:
    assert_allowed(context.state, vm, "changing_memory_live")
    if not 0 < target <= context.store.get("VM", vm, "memory_static_max"):
        raise invalid_value("memory_target", target)
    context.store.set("VM", vm, memory_target=target)


@call("VM.wait_memory_target_live")
def wait_memory_target(context: Context, vm: str) -> None:
    """The balloon driver is at once where it is to be."""
    assert_allowed(context.state, vm, "awaiting_memory_live")


@call("VM.get_cooperative")
def cooperative(_context: Context, _vm: str) -> bool:
    return True


@call("VM.set_shadow_multiplier_live")
def set_shadow_live(context: Context, vm: str, multiplier: float) -> None:
    assert_allowed(context.state, vm, "changing_shadow_memory_live")
    if multiplier < 1.0:
        raise invalid_value("HVM_shadow_multiplier", multiplier)
    context.store.set("VM", vm, HVM_shadow_multiplier=multiplier)


@call("VM.send_sysrq")
def send_sysrq(context: Context, vm: str, _key: str) -> None:
    """xapi itself never carries it out."""
    assert_allowed(context.state, vm, "send_sysrq")
    raise ApiError("NOT_IMPLEMENTED", "send_sysrq")


@call("VM.send_trigger")
def send_trigger(context: Context, vm: str, _trigger: str) -> None:
    assert_allowed(context.state, vm, "send_trigger")
    raise ApiError("NOT_IMPLEMENTED", "send_trigger")


@call("VM.s3_suspend", "VM.s3_resume")
def s3(context: Context, vm: str) -> None:
    assert_power(context.state, vm, "running")
    _assert_agent(context, vm)


@call("VM.restart_device_models")
def restart_device_models(context: Context, vm: str) -> None:
    """A local migration; what the client sees afterwards is what it saw before."""
    assert_power(context.state, vm, "running")


@call("VM.maximise_memory")
def maximise_memory(_context: Context, _vm: str, total: int, _approximate: bool) -> int:
    """The most memory the VM could have in `total` bytes, what the hypervisor needs beside it taken off."""
    unit = 1024 * 1024
    most = total // unit * unit
    while most > 0 and most + overhead_bytes(most) > total:
        most -= max((most + overhead_bytes(most) - total) // 2 // unit, 1) * unit
    return max(most, 0)


@call("VM.get_boot_record")
def boot_record(context: Context, vm: str) -> dict[str, Any]:
    assert_allowed(context.state, vm, "get_boot_record")
    return context.store.record("VM", vm)


@call("VM.call_plugin")
def call_plugin(context: Context, vm: str, plugin: str, _function: str, _args: dict[str, str]) -> str:
    """A plugin inside the guest, of which the simulated one has none."""
    assert_allowed(context.state, vm, "call_plugin")
    _assert_agent(context, vm)
    raise ApiError("XENAPI_MISSING_PLUGIN", plugin)


@call("VM.call_host_plugin")
def call_host_plugin(_context: Context, _vm: str, plugin: str, _function: str, _args: dict[str, str]) -> str:
    raise ApiError("XENAPI_MISSING_PLUGIN", plugin)


@call("VM.sysprep")
def sysprep(context: Context, vm: str, unattend: str, _timeout: float = 0.0) -> None:
    """Needs an agent that offers it: the simulated one does not."""
    assert_allowed(context.state, vm, "sysprep")
    if not unattend:
        raise ApiError("SYSPREP", vm, "API call 'sysprep' received an empty unattend file")
    raise ApiError("VM_LACKS_FEATURE", vm)


@call("VM.query_services")
def query_services(context: Context, vm: str) -> dict[str, str]:
    """What a driver domain offers, which no guest is."""
    assert_allowed(context.state, vm, "query_services")
    if context.store.get("VM", vm, "other_config").get("is_system_domain") != "true":
        raise ApiError("NOT_SYSTEM_DOMAIN", vm)
    return {}


@call("VM.assert_agile")
def assert_agile(context: Context, vm: str) -> None:
    """Whether any host of the pool could run the VM: all its storage and networks are shared."""
    store = context.store
    for vbd in store.get("VM", vm, "VBDs"):
        vdi = store.get("VBD", vbd, "VDI")
        if vdi != NULL and not store.get("SR", store.get("VDI", vdi, "SR"), "shared"):
            raise ApiError("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", store.get("VDI", vdi, "SR"))
    hosts = set(store.refs("host"))
    for vif in store.get("VM", vm, "VIFs"):
        network = store.get("VIF", vif, "network")
        pifs = store.get("network", network, "PIFs")
        if {store.get("PIF", p, "host") for p in pifs} != hosts:
            raise ApiError("HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED", network)


@call("VM.update_snapshot_metadata")
def update_snapshot_metadata(context: Context, vm: str, origin: str, time: DateTime, transportable: str) -> None:
    values = {"snapshot_of": origin, "snapshot_time": time, "transportable_snapshot_id": transportable}
    context.store.set("VM", vm, is_a_snapshot=True, **values)


@call("VM.set_uefi_mode")
def set_uefi_mode(context: Context, vm: str, mode: str) -> str:
    """Empties the NVRAM (setup) or is to put the pool's certificates in (user)."""
    store = context.store
    if store.get("VM", vm, "HVM_boot_params").get("firmware") != "uefi":
        raise ApiError("OPERATION_NOT_ALLOWED", "the VM does not boot with UEFI firmware")
    assert_power(context.state, vm, "halted")
    if mode == "user" and not store.get("pool", context.state.pool_ref, "uefi_certificates"):
        raise internal("uefistored: the pool has no certificates")
    store.set("VM", vm, NVRAM={})
    return ""


@call("VM.set_NVRAM")
def set_nvram(context: Context, vm: str, value: dict[str, str]) -> None:
    """Replaces the map; neither its content nor the power state is looked at."""
    assert_allowed(context.state, vm, "changing_NVRAM")
    context.store.set("VM", vm, NVRAM=value)


@call("VM.add_to_NVRAM")
def add_nvram(context: Context, vm: str, key: str, value: str) -> None:
    assert_allowed(context.state, vm, "changing_NVRAM")
    held = context.store.get("VM", vm, "NVRAM")
    if key in held:
        raise ApiError("MAP_DUPLICATE_KEY", "VM", "NVRAM", vm, key)
    context.store.set("VM", vm, NVRAM=held | {key: value})


@call("VM.remove_from_NVRAM")
def remove_nvram(context: Context, vm: str, key: str) -> None:
    assert_allowed(context.state, vm, "changing_NVRAM")
    held = context.store.get("VM", vm, "NVRAM")
    context.store.set("VM", vm, NVRAM={k: v for k, v in held.items() if k != key})


@call("VM.set_NVRAM_EFI_variables")
def set_efi_variables(context: Context, vm: str, value: str, *_more: object) -> None:
    held = context.store.get("VM", vm, "NVRAM")
    context.store.set("VM", vm, NVRAM=held | {"EFI-variables": value})
