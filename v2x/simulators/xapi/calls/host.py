# SPDX-License-Identifier: Apache-2.0
"""host and pool: certificate, memory, time, enabling."""

from v2x.simulators.xapi.computed import host_used
from v2x.simulators.xapi.datamodel import NULL, DateTime
from v2x.simulators.xapi.failure import ApiError, handle_invalid
from v2x.simulators.xapi.state import Context, call


@call("host.get_server_certificate")
def server_certificate(context: Context, host: str) -> str:
    """The PEM that the host serves."""
    if host not in context.state.certificates:
        raise handle_invalid("host", host)
    return context.state.certificates[host]


@call("host.compute_free_memory")
def free_memory(context: Context, host: str) -> int:
    metrics = context.store.get("host", host, "metrics")
    total: int = context.store.get("host_metrics", metrics, "memory_total")
    return total - host_used(context.state, host)


@call("host.compute_memory_overhead")
def memory_overhead(context: Context, host: str) -> int:
    overhead: int = context.store.get("host", host, "memory_overhead")
    return overhead


@call("host.get_servertime", "host.get_server_localtime")
def servertime(context: Context, _host: str) -> DateTime:
    return context.state.now()


@call("host.disable")
def disable(context: Context, host: str, *_auto_enable: bool) -> None:
    context.store.set("host", host, enabled=False)


@call("host.enable")
def enable(context: Context, host: str) -> None:
    context.store.set("host", host, enabled=True)


@call("host.list_methods")
def list_methods(context: Context) -> list[str]:
    return sorted(m.full_name for m in context.state.model.calls.values())


@call("host.is_in_emergency_mode")
def is_in_emergency_mode(_context: Context) -> bool:
    return False


@call("host.get_management_interface")
def management_interface(context: Context, host: str) -> str:
    found = context.store.find("PIF", host=host, management=True)
    return found[0] if found else NULL


@call("host.call_plugin")
def call_plugin(_context: Context, _host: str, plugin: str, _function: str, _args: dict[str, str]) -> str:
    raise ApiError("XENAPI_MISSING_PLUGIN", plugin)


@call("host.has_extension", "pool.has_extension")
def has_extension(_context: Context, _ref: str, _name: str) -> bool:
    return False


@call("pool.sync_database")
def sync_database(_context: Context) -> None:
    """There is one database."""
