# SPDX-License-Identifier: Apache-2.0
"""pool: who is the coordinator, and high availability as far as records go.

Facts: xapi, xapi_pool.ml, xapi_ha.ml, xapi_vm.ml.
"""

from v2x.simulators.xapi.attach import plugged_hosts
from v2x.simulators.xapi.failure import ApiError, handle_invalid, invalid_value
from v2x.simulators.xapi.running import firmware_of, secure_boot
from v2x.simulators.xapi.state import Context, call

_PRIORITIES = frozenset({"", "best-effort", "restart"})


def _lead(context: Context, host: str) -> None:
    """The toolstacks start anew: no session and no task lives on."""
    context.store.set("pool", context.state.pool_ref, master=host)
    context.state.sessions.expire_all()
    for task in context.store.refs("task"):
        if task != context.task:
            context.store.remove("task", task)


@call("pool.designate_new_master")
def designate_new_master(context: Context, host: str) -> None:
    if not context.store.exists("host", host):
        raise handle_invalid("host", host)
    if context.store.get("pool", context.state.pool_ref, "ha_enabled"):
        raise ApiError("HA_IS_ENABLED")
    if host != context.state.master:
        _lead(context, host)


@call("pool.emergency_transition_to_master")
def emergency_transition_to_master(context: Context) -> None:
    """Made on a member, with a local session, once the coordinator is gone."""
    if context.host != context.state.master:
        _lead(context, context.host)


@call("pool.enable_ha")
def enable_ha(context: Context, srs: list[str], configuration: dict[str, str]) -> None:
    store, pool = context.store, context.state.pool_ref
    if store.get("pool", pool, "ha_enabled"):
        raise ApiError("HA_IS_ENABLED")
    usable = srs or [s for s in store.refs("SR") if store.get("SR", s, "shared") and _for_disks(context, s)]
    for sr in usable:
        if not store.get("SR", sr, "shared"):
            raise ApiError("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", sr)
        for host in store.refs("host"):
            if host not in plugged_hosts(context.state, sr):
                raise ApiError("HA_HOST_CANNOT_ACCESS_STATEFILE", host)
    hosts = len(store.refs("host"))
    store.set(
        "pool",
        pool,
        ha_enabled=True,
        ha_configuration=configuration,
        ha_statefiles=usable[:1],
        ha_plan_exists_for=hosts - 1,
        ha_host_failures_to_tolerate=0,
    )


def _for_disks(context: Context, sr: str) -> bool:
    return bool(context.store.get("SR", sr, "content_type") == "user")


@call("pool.disable_ha")
def disable_ha(context: Context) -> None:
    pool = context.state.pool_ref
    if not context.store.get("pool", pool, "ha_enabled"):
        raise ApiError("HA_NOT_ENABLED")
    context.store.set("pool", pool, ha_enabled=False, ha_statefiles=[], ha_configuration={}, ha_plan_exists_for=0)


@call("pool.set_ha_host_failures_to_tolerate")
def set_failures_to_tolerate(context: Context, pool: str, value: int) -> None:
    if value < 0:
        raise invalid_value("ha_host_failures_to_tolerate", value)
    if context.store.get("pool", pool, "ha_enabled") and value > context.store.get("pool", pool, "ha_plan_exists_for"):
        raise ApiError("HA_NO_PLAN")
    context.store.set("pool", pool, ha_host_failures_to_tolerate=value)


@call("VM.set_ha_restart_priority")
def set_restart_priority(context: Context, vm: str, value: str) -> None:
    if value not in _PRIORITIES:
        raise invalid_value("ha_restart_priority", value)
    running = context.store.get("VM", vm, "power_state") == "Running"
    context.store.set("VM", vm, ha_restart_priority=value, ha_always_run=value == "restart" and running)


@call("VM.get_secureboot_readiness")
def secureboot_readiness(context: Context, vm: str) -> str:
    """What the start of the VM makes of platform:secureboot; whose keys the NVRAM holds is not looked at."""
    values = context.store.values("VM", vm)
    if firmware_of(values) != "uefi":
        return "not_supported"
    if not secure_boot(context.state, values):
        return "disabled"
    return "ready" if values["NVRAM"].get("EFI-variables") else "first_boot"
