# SPDX-License-Identifier: Apache-2.0
"""host: evacuation, shutdown and power, leaving the pool, as far as records go (xapi: xapi_host.ml, xapi_pool.ml).

A listener goes on answering: that a host is down is a matter of the panel (close_host) and of Pool.close_host.
"""

from v2x.simulators.xapi.calls.migration import pool_migrate
from v2x.simulators.xapi.calls.vdi import remove_vdi
from v2x.simulators.xapi.calls.vm_life import check_host, halt
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import Context, PoolState, call


def guests_of(state: PoolState, host: str) -> list[str]:
    """The VMs that run on a host, its control domain apart."""
    store = state.store
    return [v for v in store.get("host", host, "resident_VMs") if not store.get("VM", v, "is_control_domain")]


def _set_live(state: PoolState, host: str, *, live: bool) -> None:
    state.store.set("host_metrics", state.store.get("host", host, "metrics"), live=live)


def _live(state: PoolState, host: str) -> bool:
    return bool(state.store.get("host_metrics", state.store.get("host", host, "metrics"), "live"))


def _assert_idle(state: PoolState, host: str) -> None:
    """A host goes down only when it is disabled and empty."""
    if state.store.get("host", host, "enabled"):
        raise ApiError("HOST_NOT_DISABLED")
    for vm in guests_of(state, host):
        raise ApiError("HOST_IN_USE", host, "VM", vm)


@call("host.shutdown")
def shutdown(context: Context, host: str) -> None:
    _assert_idle(context.state, host)
    _set_live(context.state, host, live=False)


@call("host.reboot")
def reboot(context: Context, host: str) -> None:
    """Up again at once, and enabled as after any boot."""
    _assert_idle(context.state, host)
    _set_live(context.state, host, live=False)
    _set_live(context.state, host, live=True)
    context.store.set("host", host, enabled=True)


@call("host.power_on")
def power_on(context: Context, host: str) -> None:
    if not context.store.get("host", host, "power_on_mode"):
        raise ApiError("HOST_POWER_ON_MODE_DISABLED")
    _set_live(context.state, host, live=True)
    context.store.set("host", host, enabled=True)


@call("host.declare_dead")
def declare_dead(context: Context, host: str) -> None:
    """Its VMs are taken for halted, so that they may start elsewhere."""
    if _live(context.state, host):
        raise ApiError("HOST_IS_LIVE", host)
    for vm in guests_of(context.state, host):
        halt(context.state, vm)


@call("host.destroy")
def destroy(context: Context, host: str) -> None:
    state = context.state
    if host == state.master:
        raise ApiError("HOST_CANNOT_DESTROY_SELF", host)
    if _live(state, host):
        raise ApiError("HOST_IS_LIVE", host)
    if guests_of(state, host):
        raise ApiError("HOST_HAS_RESIDENT_VMS", host)
    remove_host(state, host)


@call("pool.eject")
def eject(context: Context, host: str) -> None:
    state = context.state
    if context.store.get("pool", state.pool_ref, "ha_enabled"):
        raise ApiError("HA_IS_ENABLED")
    if host == state.master:
        raise ApiError("HOST_CANNOT_DESTROY_SELF", host)
    if guests_of(state, host):
        raise ApiError("OPERATION_NOT_ALLOWED", "VMs still running on the host to be ejected")
    remove_host(state, host)


def remove_host(state: PoolState, host: str) -> None:
    """The host with its interfaces and plugs, and the SRs that only it reached, with their disks."""
    store = state.store
    for pbd in store.get("host", host, "PBDs"):
        sr = store.get("PBD", pbd, "SR")
        store.remove("PBD", pbd)
        if not store.get("SR", sr, "PBDs") and not store.get("SR", sr, "shared"):
            for vdi in store.get("SR", sr, "VDIs"):
                remove_vdi(state, vdi)
            store.remove("SR", sr)
    for vlan in [v for v in store.refs("VLAN") if _host_of_vlan(state, v) == host]:
        store.remove("VLAN", vlan)
    for pif in store.find("PIF", host=host):
        store.remove("PIF", pif)
    domain, metrics = store.get("host", host, "control_domain"), store.get("host", host, "metrics")
    for cls, ref in (("VM", domain), ("host_metrics", metrics), ("host", host)):
        if store.exists(cls, ref):
            store.remove(cls, ref)


def _host_of_vlan(state: PoolState, vlan: str) -> str:
    ref: str = state.store.get("PIF", state.store.get("VLAN", vlan, "tagged_PIF"), "host")
    return ref


# evacuation


def _obstacles(state: PoolState, host: str) -> dict[str, list[str]]:
    """What keeps each VM of a host from moving to another: the error it would meet."""
    store, found = state.store, {}
    for vm in guests_of(state, host):
        if store.get("VM", vm, "guest_metrics") == NULL:
            found[vm] = ["VM_LACKS_FEATURE", vm]
        elif _refuge(state, vm, host) is None:
            found[vm] = ["NO_HOSTS_AVAILABLE"]
    return found


def _refuge(state: PoolState, vm: str, host: str) -> str | None:
    """Another host that can run the VM now."""
    for other in state.store.refs("host"):
        if other != host:
            try:
                check_host(state, vm, other)
            except ApiError:
                continue
            return other
    return None


@call("host.get_vms_which_prevent_evacuation")
def preventing(context: Context, host: str) -> dict[str, list[str]]:
    return _obstacles(context.state, host)


@call("host.assert_can_evacuate")
def assert_can_evacuate(context: Context, host: str) -> None:
    found = _obstacles(context.state, host)
    if found:
        raise ApiError("CANNOT_EVACUATE_HOST", "|".join(",".join(error) for error in found.values()))


@call("host.get_uncooperative_resident_VMs")
def uncooperative(_context: Context, _host: str) -> list[str]:
    return []


@call("host.evacuate")
def evacuate(context: Context, host: str, *_options: object) -> None:
    """All VMs move to other hosts; the host takes no new one meanwhile, as it must be disabled first."""
    state = context.state
    assert_can_evacuate(context, host)
    if context.store.get("host", host, "enabled"):
        context.store.set("host", host, enabled=False)
    for vm in guests_of(state, host):
        refuge = _refuge(state, vm, host)
        if refuge is None:
            raise ApiError("NO_HOSTS_AVAILABLE")
        pool_migrate(context, vm, refuge, {})


@call("host.restart_agent")
def restart_agent(context: Context, host: str) -> None:
    """Nothing that a client sees changes."""
    context.store.get("host", host, "uuid")


@call("host.enable_display", "host.disable_display")
def display(context: Context, host: str) -> str:
    shown: str = context.store.get("host", host, "display")
    return shown


@call("host.set_hostname_live")
def set_hostname(context: Context, host: str, name: str) -> None:
    if not name or not all(c.isalnum() or c in "-." for c in name):
        raise ApiError("HOST_NAME_INVALID", "hostname contains invalid characters" if name else "hostname is empty")
    context.store.set("host", host, hostname=name)
