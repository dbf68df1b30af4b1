# SPDX-License-Identifier: Apache-2.0
"""VM: the setters that check: memory, vCPUs, NVRAM, BIOS strings.

Facts: xapi, xapi_vm.ml, datamodel_vm.ml, xapi_vtpm.ml, vm_platform.ml.
"""

from v2x.simulators.xapi.failure import ApiError, invalid_value
from v2x.simulators.xapi.operations import assert_allowed, assert_power
from v2x.simulators.xapi.state import Context, call

_BIOS_KEYS = frozenset(
    {
        *("bios-vendor", "bios-version", "system-manufacturer", "system-product-name", "system-version"),
        *("system-serial-number", "baseboard-manufacturer", "baseboard-product-name", "baseboard-version"),
        *("baseboard-serial-number", "baseboard-asset-tag", "baseboard-location-in-chassis", "enclosure-asset-tag"),
    }
)
_BIOS_LIMIT = 512


def _set_memory(context: Context, vm: str, operation: str, **limits: int) -> None:
    """Changes some of the four limits after checking the order they then have. Static ones change while halted."""
    store = context.store
    names = ("memory_static_min", "memory_dynamic_min", "memory_dynamic_max", "memory_static_max")
    held = {n: store.get("VM", vm, n) for n in names}
    fixed = any(n.startswith("memory_static") and limits.get(n, held[n]) != held[n] for n in names)
    assert_allowed(context.state, vm, operation)
    if fixed:
        assert_power(context.state, vm, "halted")
    ladder = [limits.get(n, held[n]) for n in names]
    if ladder != sorted(ladder) or ladder[0] < 0:
        raise ApiError("MEMORY_CONSTRAINT_VIOLATION_ORDER")
    if store.get("VM", vm, "platform").get("nested-virt") == "true" and ladder[1] != ladder[3]:
        raise ApiError("MEMORY_CONSTRAINT_VIOLATION_MAXPIN", "nested virtualisation is on")
    store.set("VM", vm, **limits)


@call("VM.set_memory_limits")
def set_memory_limits(
    context: Context, vm: str, static_min: int, static_max: int, dynamic_min: int, dynamic_max: int
) -> None:
    _set_memory(
        context,
        vm,
        "changing_memory_limits",
        memory_static_min=static_min,
        memory_static_max=static_max,
        memory_dynamic_min=dynamic_min,
        memory_dynamic_max=dynamic_max,
    )


@call("VM.set_memory")
def set_memory(context: Context, vm: str, value: int) -> None:
    static_min = min(value, context.store.get("VM", vm, "memory_static_min"))
    _set_memory(
        context,
        vm,
        "changing_memory_limits",
        memory_static_min=static_min,
        memory_static_max=value,
        memory_dynamic_min=value,
        memory_dynamic_max=value,
    )


@call("VM.set_memory_static_max")
def set_static_max(context: Context, vm: str, value: int) -> None:
    _set_memory(context, vm, "changing_static_range", memory_static_max=value)


@call("VM.set_memory_static_min")
def set_static_min(context: Context, vm: str, value: int) -> None:
    _set_memory(context, vm, "changing_static_range", memory_static_min=value)


@call("VM.set_memory_dynamic_max")
def set_dynamic_max(context: Context, vm: str, value: int) -> None:
    _set_memory(context, vm, "changing_dynamic_range", memory_dynamic_max=value)


@call("VM.set_memory_dynamic_min")
def set_dynamic_min(context: Context, vm: str, value: int) -> None:
    _set_memory(context, vm, "changing_dynamic_range", memory_dynamic_min=value)


@call("VM.set_memory_static_range")
def set_static_range(context: Context, vm: str, least: int, most: int) -> None:
    _set_memory(context, vm, "changing_static_range", memory_static_min=least, memory_static_max=most)


@call("VM.set_memory_dynamic_range")
def set_dynamic_range(context: Context, vm: str, least: int, most: int) -> None:
    _set_memory(context, vm, "changing_dynamic_range", memory_dynamic_min=least, memory_dynamic_max=most)


@call("VM.set_VCPUs_max")
def set_vcpus_max(context: Context, vm: str, value: int) -> None:
    assert_allowed(context.state, vm, "changing_VCPUs")
    if value < 1 or value < context.store.get("VM", vm, "VCPUs_at_startup"):
        raise invalid_value("value must be at least 1 and not below VCPUs_at_startup", value)
    context.store.set("VM", vm, VCPUs_max=value)


@call("VM.set_VCPUs_at_startup")
def set_vcpus_at_startup(context: Context, vm: str, value: int) -> None:
    assert_allowed(context.state, vm, "changing_VCPUs")
    if not 1 <= value <= context.store.get("VM", vm, "VCPUs_max"):
        raise invalid_value("value must be between 1 and VCPUs_max", value)
    context.store.set("VM", vm, VCPUs_at_startup=value)


@call("VM.set_HVM_shadow_multiplier")
def set_shadow_multiplier(context: Context, vm: str, value: float) -> None:
    assert_allowed(context.state, vm, "changing_shadow_memory")
    if value < 1.0:
        raise invalid_value("HVM_shadow_multiplier", value)
    context.store.set("VM", vm, HVM_shadow_multiplier=value)


@call("VM.set_bios_strings")
def set_bios_strings(context: Context, vm: str, value: dict[str, str]) -> None:
    if context.store.get("VM", vm, "bios_strings"):
        raise ApiError("VM_BIOS_STRINGS_ALREADY_SET")
    for key, text in value.items():
        if key not in _BIOS_KEYS:
            raise invalid_value(key, "Unknown key")
        if not 1 <= len(text) <= _BIOS_LIMIT or not (text.isascii() and text.isprintable()):
            raise invalid_value(key, text)
    context.store.set("VM", vm, bios_strings=value)


@call("VM.copy_bios_strings")
def copy_bios_strings(context: Context, vm: str, host: str) -> None:
    if context.store.get("VM", vm, "bios_strings"):
        raise ApiError("VM_BIOS_STRINGS_ALREADY_SET")
    context.store.set("VM", vm, bios_strings=context.store.get("host", host, "bios_strings"))


@call("VM.compute_memory_overhead")
def memory_overhead(_context: Context, vm: str) -> int:
    return overhead_bytes(_context.store.get("VM", vm, "memory_static_max"))


def overhead_bytes(memory: int) -> int:
    """What the hypervisor needs beside the memory of an HVM guest: shadow and a constant part."""
    mib = 1024 * 1024
    return -(-(memory // 128 + 11 * mib) // mib) * mib
