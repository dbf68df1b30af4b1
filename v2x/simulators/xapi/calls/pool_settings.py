# SPDX-License-Identifier: Apache-2.0
"""pool and host: settings that are more than a field: HTTPS only, SSH, updates, caching, time, failover plans.

Facts: xapi, xapi_pool.ml, xapi_host.ml, xapi_ha_vm_failover.ml, repository.ml.
"""

import uuid as uuid_module
import zoneinfo
from typing import Any

from v2x.simulators.xapi.datamodel import NULL, DateTime
from v2x.simulators.xapi.failure import ApiError, invalid_value
from v2x.simulators.xapi.state import Context, call

_LOGS = "the simulated host writes no log\n"


def _on_all_hosts(context: Context, **values: Any) -> None:
    for host in context.store.refs("host"):
        context.store.set("host", host, **values)


@call("pool.set_https_only")
def https_only(context: Context, _pool: str, value: bool) -> None:
    _on_all_hosts(context, https_only=value)


@call("pool.enable_ssh", "pool.disable_ssh")
def ssh_of_pool(context: Context, pool: str) -> None:
    context.store.get("pool", pool, "uuid")


@call("host.enable_ssh")
def enable_ssh(context: Context, host: str) -> None:
    context.store.set("host", host, ssh_enabled=True)


@call("host.disable_ssh")
def disable_ssh(context: Context, host: str) -> None:
    context.store.set("host", host, ssh_enabled=False)


def _time(field: str, value: int) -> int:
    if not 0 <= value <= 172800:
        raise invalid_value(field, value)
    return value


@call("pool.set_ssh_enabled_timeout")
def ssh_timeout(context: Context, _pool: str, value: int) -> None:
    _on_all_hosts(context, ssh_enabled_timeout=_time("ssh_enabled_timeout", value))


@call("pool.set_console_idle_timeout")
def console_timeout(context: Context, _pool: str, value: int) -> None:
    _on_all_hosts(context, console_idle_timeout=_time("console_idle_timeout", value))


@call("pool.set_ssh_auto_mode")
def ssh_auto_mode(context: Context, _pool: str, value: bool) -> None:
    _on_all_hosts(context, ssh_auto_mode=value)


@call("pool.reset_telemetry_uuid")
def reset_telemetry(context: Context, pool: str) -> None:
    if "telemetry_uuid" in context.state.model.classes["pool"].fields:
        secret = context.store.add("secret", {"value": str(uuid_module.uuid4())})
        context.store.set("pool", pool, telemetry_uuid=secret)


# updates


@call("pool.add_repository")
def add_repository(context: Context, pool: str, value: str) -> None:
    context.store.get("Repository", value, "uuid")
    held = context.store.get("pool", pool, "repositories")
    context.store.set("pool", pool, repositories=list(dict.fromkeys([*held, value])))


@call("pool.remove_repository")
def remove_repository(context: Context, pool: str, value: str) -> None:
    context.store.get("Repository", value, "uuid")
    held = context.store.get("pool", pool, "repositories")
    context.store.set("pool", pool, repositories=[r for r in held if r != value])


@call("pool.sync_updates")
def sync_updates(context: Context, pool: str, *_options: object) -> str:
    if not context.store.get("pool", pool, "repositories"):
        raise ApiError("NO_REPOSITORIES_CONFIGURED")
    raise ApiError("REPOSYNC_FAILED")


@call("host.apply_updates")
def apply_updates(_context: Context, _host: str, _hash: str) -> list[list[str]]:
    raise ApiError("NO_REPOSITORY_ENABLED")


@call("pool.check_update_readiness")
def check_update_readiness(_context: Context, _pool: str, _reboot: bool = False) -> list[list[str]]:
    return []


@call("pool.configure_update_sync")
def configure_update_sync(context: Context, pool: str, frequency: str, day: int) -> None:
    if not (0 <= day <= 6 and (frequency != "daily" or day == 0)):
        raise ApiError("INVALID_UPDATE_SYNC_DAY", day)
    context.store.set("pool", pool, update_sync_frequency=frequency, update_sync_day=day)


@call("pool.configure_repository_proxy")
def repository_proxy(context: Context, pool: str, url: str, username: str, password: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise ApiError("INVALID_REPOSITORY_PROXY_URL", url)
    if bool(username) != bool(password):
        raise ApiError("INVALID_REPOSITORY_PROXY_CREDENTIAL")
    kept = context.store.add("secret", {"value": password}) if password else NULL
    values = {"repository_proxy_url": url, "repository_proxy_username": username, "repository_proxy_password": kept}
    context.store.set("pool", pool, **values)


@call("pool.disable_repository_proxy")
def no_repository_proxy(context: Context, pool: str) -> None:
    values = {"repository_proxy_url": "", "repository_proxy_username": "", "repository_proxy_password": NULL}
    context.store.set("pool", pool, **values)


@call("pool.get_guest_secureboot_readiness")
def pool_readiness(context: Context, pool: str) -> str:
    return "ready" if context.store.get("pool", pool, "uefi_certificates") else "not_ready"


@call("pool.enable_client_certificate_auth")
def client_certificates(context: Context, pool: str, name: str) -> None:
    context.store.set("pool", pool, client_certificate_auth_enabled=True, client_certificate_auth_name=name)


@call("pool.disable_client_certificate_auth")
def no_client_certificates(context: Context, pool: str) -> None:
    context.store.set("pool", pool, client_certificate_auth_enabled=False, client_certificate_auth_name="")


@call("pool.enable_tls_verification")
def tls_verification(context: Context) -> None:
    context.store.set("pool", context.state.pool_ref, tls_verification_enabled=True)


@call("pool.set_vswitch_controller")
def vswitch_controller(context: Context, address: str) -> None:
    context.store.set("pool", context.state.pool_ref, vswitch_controller=address)


# plans of a failover


@call("pool.ha_failover_plan_exists")
def plan_exists(context: Context, failures: int) -> bool:
    return failures <= len(context.store.refs("host")) - 1


@call("pool.ha_compute_max_host_failures_to_tolerate")
def most_failures(context: Context) -> int:
    return len(context.store.refs("host")) - 1


@call("pool.ha_compute_hypothetical_max_host_failures_to_tolerate")
def most_hypothetical_failures(context: Context, configuration: dict[str, str]) -> int:
    for vm in configuration:
        context.store.get("VM", vm, "uuid")
    return len(context.store.refs("host")) - 1


@call("pool.ha_compute_vm_failover_plan")
def failover_plan(context: Context, hosts: list[str], vms: list[str]) -> dict[str, dict[str, str]]:
    """Each VM goes to the first host that is left."""
    for host in hosts:
        context.store.get("host", host, "uuid")
    for vm in vms:
        context.store.get("VM", vm, "uuid")
    left = [h for h in context.store.refs("host") if h not in hosts]
    return {vm: {"host": left[0]} if left else {"error_code": "NO_HOSTS_AVAILABLE"} for vm in vms}


@call("pool.ha_prevent_restarts_for")
def prevent_restarts(context: Context, _seconds: int) -> None:
    if not context.store.get("pool", context.state.pool_ref, "ha_enabled"):
        raise ApiError("HA_NOT_ENABLED")


@call("pool.hello")
def hello(context: Context, uuid: str, _address: str) -> str:
    return "ok" if context.store.find("host", uuid=uuid) else "unknown_host"


@call("pool.is_slave")
def is_slave(context: Context, host: str) -> bool:
    return host != context.state.master


@call("pool.recover_slaves")
def recover_slaves(_context: Context) -> list[str]:
    """No member has lost its coordinator."""
    return []


@call("pool.join", "pool.join_force")
def join(_context: Context, *_other: str) -> None:
    """The other pool is never reached."""
    raise ApiError("JOINING_HOST_CONNECTION_FAILED")


@call("pool.enable_redo_log")
def enable_redo_log(context: Context, sr: str) -> None:
    pool = context.state.pool_ref
    if not context.store.get("SR", sr, "shared"):
        raise ApiError("CANNOT_ENABLE_REDO_LOG", "the SR is not shared")
    if context.store.get("pool", pool, "redo_log_enabled"):
        raise ApiError("REDO_LOG_IS_ENABLED")
    context.store.set("pool", pool, redo_log_enabled=True)


@call("pool.disable_redo_log")
def disable_redo_log(context: Context) -> None:
    context.store.set("pool", context.state.pool_ref, redo_log_enabled=False, redo_log_vdi=NULL)


# host


@call("host.dmesg", "host.dmesg_clear", "host.get_log")
def log_of(_context: Context, _host: str) -> str:
    return _LOGS


@call("host.get_sm_diagnostics", "host.get_thread_diagnostics", "host.get_system_status_capabilities")
def diagnostics(_context: Context, _host: str) -> str:
    return ""


@call("host.get_diagnostic_timing_stats", "host.get_ntp_servers_status", "host.get_tracked_user_agents")
def nothing_measured(_context: Context, _host: str, *_options: object) -> dict[str, str]:
    return {}


@call("host.get_ntp_synchronized")
def ntp_synchronized(_context: Context, _host: str) -> bool:
    return True


@call("host.list_timezones")
def timezones(_context: Context, _host: str) -> list[str]:
    return sorted(zoneinfo.available_timezones())


@call("host.set_servertime")
def set_servertime(_context: Context, _host: str, _value: DateTime) -> None:
    raise ApiError("OPERATION_NOT_ALLOWED", "the simulated host takes its time from the machine it runs on")


@call("host.ha_xapi_healthcheck")
def healthcheck(_context: Context) -> bool:
    return True


@call("host.get_sched_gran")
def sched_gran(_context: Context, _host: str) -> str:
    return "cpu"


@call("host.set_cpu_features")
def cpu_features(_context: Context, _host: str, _features: str) -> None:
    raise ApiError("CPU_FEATURE_MASKING_NOT_SUPPORTED")


@call("host.call_extension")
def call_extension(_context: Context, _host: str, name: str) -> str:
    raise ApiError("XENAPI_MISSING_PLUGIN", name)


@call("host.enable_local_storage_caching")
def enable_caching(context: Context, host: str, sr: str) -> None:
    store = context.store
    if store.get("SR", sr, "shared") or store.get("SR", sr, "type") != "ext":
        raise ApiError("SR_OPERATION_NOT_SUPPORTED", sr)
    store.set("host", host, local_cache_sr=sr)
    store.set("SR", sr, local_cache_enabled=True)


@call("host.disable_local_storage_caching")
def disable_caching(context: Context, host: str) -> None:
    sr = context.store.get("host", host, "local_cache_sr")
    context.store.set("host", host, local_cache_sr=NULL)
    if context.store.exists("SR", sr):
        context.store.set("SR", sr, local_cache_enabled=False)
