# SPDX-License-Identifier: Apache-2.0
"""VM: start with the checks of xapi in their order, shutdown, and the dry runs.

Facts: xapi, xapi_vm_helpers.ml, xapi_vm_lifecycle.ml.
"""

from v2x.simulators.xapi import guest_agent, running
from v2x.simulators.xapi.attach import assert_attachable, plugged_hosts
from v2x.simulators.xapi.calls.vbd import attach_vbd
from v2x.simulators.xapi.calls.vdi import remove_vdi
from v2x.simulators.xapi.calls.vm import fresh_generation_id
from v2x.simulators.xapi.calls.vm_settings import overhead_bytes
from v2x.simulators.xapi.calls.vtpm import make_vtpm
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError, invalid_value
from v2x.simulators.xapi.operations import assert_allowed
from v2x.simulators.xapi.running import DEVICE_MODELS, firmware_of
from v2x.simulators.xapi.state import Context, PoolState, call
from v2x.simulators.xapi.store import Record

_GENERIC_BIOS = {
    "bios-vendor": "Xen",
    "bios-version": "",
    "system-manufacturer": "Xen",
    "system-product-name": "HVM domU",
    "system-version": "",
    "system-serial-number": "",
    "hp-rombios": "",
}


def _check_numbers(values: Record) -> None:
    most, at_startup = values["VCPUs_max"], values["VCPUs_at_startup"]
    if most < 1:
        raise invalid_value("VCPUs_max", most)
    if at_startup < 1:
        raise invalid_value("VCPUs-at-startup", at_startup)
    if at_startup > most:
        raise ApiError("VALUE_NOT_SUPPORTED", "VCPUs-at-startup", at_startup, "value is greater than VCPUs-max")
    if not values["memory_static_min"] <= values["memory_static_max"] or values["memory_static_max"] <= 0:
        raise ApiError("MEMORY_CONSTRAINT_VIOLATION")
    if values["HVM_shadow_multiplier"] < 1.0:
        raise invalid_value("HVM_shadow_multiplier", values["HVM_shadow_multiplier"])
    if values["actions_after_crash"] == "rename_restart":
        raise ApiError("VALUE_NOT_SUPPORTED", "actions_after_crash", "rename_restart", "not supported")


def _check_platform(values: Record) -> None:
    platform, firmware = values["platform"], firmware_of(values)
    model = platform.get("device-model", "")
    if (model == "qemu-upstream-uefi" and firmware == "bios") or (model == "qemu-trad" and firmware == "uefi"):
        raise invalid_value("platform:device-model", f"{model} does not go with {firmware}")
    if platform.get("nested-virt", "true") not in ("true", "false", "1", "0"):
        raise invalid_value("platform:nested-virt", platform["nested-virt"])
    cores, vcpus = platform.get("cores-per-socket"), values["VCPUs_max"]
    if cores is not None:
        if not (cores.isascii() and cores.isdigit()):
            raise invalid_value("platform:cores-per-socket", cores)
        if int(cores) < 1 or vcpus % int(cores):
            raise ApiError("VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE", vcpus, cores)


def check_parameters(state: PoolState, vm: str) -> None:
    """The second group of start checks: what the record itself says."""
    values = state.store.values("VM", vm)
    _check_numbers(values)
    if values["domain_type"] == "hvm":
        _check_platform(values)
        if state.store.get("VM", vm, "VTPMs") and firmware_of(values) == "bios":
            raise ApiError("OPERATION_NOT_ALLOWED", "a VM with a VTPM must boot with UEFI firmware")


def needed_memory(state: PoolState, vm: str) -> int:
    memory: int = state.store.get("VM", vm, "memory_static_max")
    return memory + overhead_bytes(memory)


def check_host(state: PoolState, vm: str, host: str) -> None:
    """The third group: whether this host can run the VM now."""
    store = state.store
    metrics = store.get("host", host, "metrics")
    if not store.get("host_metrics", metrics, "live"):
        raise ApiError("HOST_NOT_LIVE")
    if not store.get("host", host, "enabled"):
        raise ApiError("HOST_DISABLED", host)
    platform_version = store.get("VM", vm, "hardware_platform_version")
    if platform_version not in store.get("host", host, "virtual_hardware_platform_versions"):
        raise ApiError("VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION", host, "", vm, platform_version)
    hvm = any(c.startswith("hvm") for c in store.get("host", host, "capabilities"))
    if store.get("VM", vm, "domain_type") == "hvm" and not hvm:
        raise ApiError("VM_HVM_REQUIRED", vm)
    for vbd in store.get("VM", vm, "VBDs"):
        vdi = store.get("VBD", vbd, "VDI")
        if vdi != NULL:
            sr = store.get("VDI", vdi, "SR")
            if host not in plugged_hosts(state, sr):
                raise ApiError("VM_REQUIRES_SR", vm, sr)
    for vif in store.get("VM", vm, "VIFs"):
        network = store.get("VIF", vif, "network")
        if not _reaches(state, host, network):
            raise ApiError("VM_REQUIRES_NETWORK", vm, network)
    free, needed = store.get("host_metrics", metrics, "memory_free"), needed_memory(state, vm)
    if needed > free:
        raise ApiError("HOST_NOT_ENOUGH_FREE_MEMORY", needed, free)
    _check_cpus(state, vm, host)


def _check_cpus(state: PoolState, vm: str, host: str) -> None:
    vcpus = state.store.get("VM", vm, "VCPUs_max")
    pcpus = int(state.store.get("host", host, "cpu_info").get("cpu_count", "1"))
    if vcpus > pcpus and state.store.get("VM", vm, "platform").get("vcpu-unrestricted") != "true":
        raise ApiError("HOST_NOT_ENOUGH_PCPUS", vcpus, pcpus)


def _reaches(state: PoolState, host: str, network: str) -> bool:
    """A network without any PIF is internal and there on every host."""
    store = state.store
    pifs = store.get("network", network, "PIFs")
    here = [p for p in pifs if store.get("PIF", p, "host") == host]
    return not pifs or any(store.get("PIF", p, "currently_attached") for p in here)


def choose_host(state: PoolState, vm: str) -> str:
    failures: list[ApiError] = []
    hosts = state.store.refs("host")
    for host in hosts:
        try:
            check_host(state, vm, host)
        except ApiError as error:
            failures.append(error)
        else:
            return host
    if len(hosts) == 1:
        raise failures[0]
    raise ApiError("NO_HOSTS_AVAILABLE")


@call("VM.start")
def start(context: Context, vm: str, paused: bool, _force: bool) -> None:
    state = context.state
    assert_allowed(state, vm, "start")
    check_parameters(state, vm)
    boot(state, vm, choose_host(state, vm), paused=paused)


@call("VM.start_on")
def start_on(context: Context, vm: str, host: str, paused: bool, _force: bool) -> None:
    state = context.state
    assert_allowed(state, vm, "start_on")
    check_parameters(state, vm)
    check_host(state, vm, host)
    boot(state, vm, host, paused=paused)


def boot(state: PoolState, vm: str, host: str, *, paused: bool) -> None:
    store = state.store
    vbds = store.get("VM", vm, "VBDs")
    for vbd in vbds:
        if store.get("VBD", vbd, "VDI") != NULL:
            assert_attachable(state, store.get("VBD", vbd, "VDI"), store.get("VBD", vbd, "mode"), vbd)
    values = store.values("VM", vm)
    platform = dict(values["platform"])
    if values["domain_type"] == "hvm":
        platform.setdefault("device-model", DEVICE_MODELS[firmware_of(values)])
    if platform.get("vtpm") == "true" and state.profile.vtpm and not store.get("VM", vm, "VTPMs"):
        make_vtpm(state, vm, unique=False)
    for vbd in vbds:
        attach_vbd(state, vbd)
    for vif in store.get("VM", vm, "VIFs"):
        store.set("VIF", vif, currently_attached=True)
    memory = values["memory_static_max"]
    protected = values["ha_restart_priority"] == "restart" and store.get("pool", state.pool_ref, "ha_enabled")
    metrics = {"start_time": state.now(), "memory_actual": memory, "VCPUs_number": values["VCPUs_at_startup"]}
    store.set("VM_metrics", values["metrics"], hvm=values["domain_type"] == "hvm", **metrics)
    domids = [store.get("VM", v, "domid") for v in store.refs("VM")]
    location = f"https://{store.get('host', host, 'address')}/console?uuid={values['uuid']}"
    store.add("console", {"VM": vm, "protocol": "rfb", "location": location})
    store.set(
        "VM",
        vm,
        power_state="Paused" if paused else "Running",
        platform=platform,
        bios_strings=values["bios_strings"] or dict(_GENERIC_BIOS),
        resident_on=host,
        generation_id=fresh_generation_id() if values["generation_id"] == "0:0" else values["generation_id"],
        ha_always_run=protected,
        domid=max(domids) + 1,
        memory_overhead=overhead_bytes(memory),
        memory_target=memory,
        guest_metrics=NULL,
    )
    guest_agent.boot(state, vm)
    if state.machines is not None:
        try:
            running.begin(state, vm, lambda: _ended(state, vm), paused=paused)
        except ApiError:
            halt(state, vm)
            raise


def _ended(state: PoolState, vm: str) -> None:
    """The guest has shut itself down."""
    with state.store.lock:
        if state.store.exists("VM", vm) and state.store.get("VM", vm, "power_state") != "Halted":
            halt(state, vm)


@call("VM.hard_shutdown")
def hard_shutdown(context: Context, vm: str) -> None:
    assert_allowed(context.state, vm, "hard_shutdown")
    halt(context.state, vm)
    image = context.store.get("VM", vm, "suspend_VDI")
    if context.store.exists("VDI", image):
        context.store.set("VM", vm, suspend_VDI=NULL)
        remove_vdi(context.state, image)


@call("VM.clean_shutdown")
def clean_shutdown(context: Context, vm: str) -> None:
    assert_allowed(context.state, vm, "clean_shutdown")
    if context.store.get("VM", vm, "guest_metrics") == NULL:
        raise ApiError("VM_LACKS_FEATURE", vm)
    halt(context.state, vm)


@call("VM.shutdown")
def shutdown(context: Context, vm: str) -> None:
    assert_allowed(context.state, vm, "shutdown")
    halt(context.state, vm)


@call("VM.power_state_reset")
def power_state_reset(context: Context, vm: str) -> None:
    assert_allowed(context.state, vm, "power_state_reset")
    halt(context.state, vm)


@call("VM.hard_reboot")
def hard_reboot(context: Context, vm: str) -> None:
    assert_allowed(context.state, vm, "hard_reboot")
    _reboot(context, vm)


@call("VM.clean_reboot")
def clean_reboot(context: Context, vm: str) -> None:
    assert_allowed(context.state, vm, "clean_reboot")
    if context.store.get("VM", vm, "guest_metrics") == NULL:
        raise ApiError("VM_LACKS_FEATURE", vm)
    _reboot(context, vm)


def _reboot(context: Context, vm: str) -> None:
    state = context.state
    metrics = context.store.get("VM", vm, "metrics")
    context.store.set("VM_metrics", metrics, start_time=state.now())
    running.end(state, vm)
    running.begin(state, vm, lambda: _ended(state, vm))


@call("VM.pause")
def pause(context: Context, vm: str) -> None:
    assert_allowed(context.state, vm, "pause")
    context.store.set("VM", vm, power_state="Paused")
    if context.state.machines is not None:
        context.state.machines.pause(context.store.get("VM", vm, "uuid"))


@call("VM.unpause")
def unpause(context: Context, vm: str) -> None:
    assert_allowed(context.state, vm, "unpause")
    context.store.set("VM", vm, power_state="Running")
    if context.state.machines is not None:
        context.state.machines.unpause(context.store.get("VM", vm, "uuid"))


def halt(state: PoolState, vm: str) -> None:
    """The domain is gone, its devices are free."""
    store = state.store
    running.end(state, vm)
    for vbd in store.get("VM", vm, "VBDs"):
        store.set("VBD", vbd, currently_attached=False, device="")
        store.touch("VDI", store.get("VBD", vbd, "VDI"))
    for vif in store.get("VM", vm, "VIFs"):
        store.set("VIF", vif, currently_attached=False)
    for console in store.get("VM", vm, "consoles"):
        store.remove("console", console)
    guest_agent.silence(state, vm)
    store.set("VM", vm, power_state="Halted", resident_on=NULL, domid=-1, memory_overhead=0)
    store.set("VM", vm, ha_always_run=False)


@call("VM.assert_can_boot_here")
def assert_can_boot_here(context: Context, vm: str, host: str) -> None:
    check_parameters(context.state, vm)
    check_host(context.state, vm, host)


@call("VM.get_possible_hosts")
def possible_hosts(context: Context, vm: str) -> list[str]:
    def able(host: str) -> bool:
        try:
            check_host(context.state, vm, host)
        except ApiError:
            return False
        return True

    return [h for h in context.store.refs("host") if able(h)]
