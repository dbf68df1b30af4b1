# SPDX-License-Identifier: Apache-2.0
"""The data sources of VM, host and SR: what is measured now. Nothing is recorded (xapi: xapi_data_source, rrdd).

Facts: xapi, xapi_vm.ml, xapi_host.ml, xapi_sr.ml, data_source.ml, rrdd_server.ml, rrdp_cpu.ml, rrdp_iostat.ml.
"""

from collections.abc import Callable
from typing import Any

from v2x.simulators.xapi.computed import host_used
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import invalid_value
from v2x.simulators.xapi.operations import assert_allowed, assert_power
from v2x.simulators.xapi.state import Context, call
from v2x.simulators.xapi.strain import IDLE_CPU, IDLE_LATENCY_SECONDS, is_active, source_name

_WITH_DOMAIN_USAGE = frozenset({"26.1", "head"})
"""Datamodels whose rrdp_cpu.ml tells the usage of a whole domain in one data source."""


def _source(name: str, units: str, most: float, value: float) -> dict[str, Any]:
    told = {"name_label": name, "name_description": name.replace("_", " "), "enabled": True, "standard": True}
    return {**told, "units": units, "min": 0.0, "max": most, "value": value}


def _of_vm(context: Context, vm: str) -> list[dict[str, Any]]:
    store = context.store
    assert_power(context.state, vm, "running")
    memory = float(store.get("VM", vm, "memory_static_max"))
    usage = 0.01
    if store.get("VM", vm, "is_control_domain"):
        usage = context.state.strain.cpu.get(store.get("VM", vm, "resident_on"), IDLE_CPU)
    names = [f"cpu{n}" for n in range(store.get("VM", vm, "VCPUs_at_startup"))]
    if context.state.profile.datamodel in _WITH_DOMAIN_USAGE:
        names.append("cpu_usage")
    return [*(_source(name, "(fraction)", 1.0, usage) for name in names), _source("memory", "B", memory, memory)]


def _of_host(context: Context, host: str) -> list[dict[str, Any]]:
    metrics = context.store.get("host", host, "metrics")
    total = float(context.store.get("host_metrics", metrics, "memory_total"))
    free = total - host_used(context.state, host)
    return [
        _source("memory_total_kib", "KiB", total, total / 1024),
        _source("memory_free_kib", "KiB", total, free / 1024),
        *_latencies(context, host),
    ]


def _latencies(context: Context, host: str) -> list[dict[str, Any]]:
    store, set_to = context.store, context.state.strain.latency
    plugged = [pbd for pbd in store.get("host", host, "PBDs") if store.get("PBD", pbd, "currently_attached")]
    found = []
    for sr in {store.get("PBD", pbd, "SR") for pbd in plugged} - {NULL}:
        if sr in set_to or is_active(store, sr, host):
            microseconds = set_to.get(sr, IDLE_LATENCY_SECONDS) * 1e6
            found.append(_source(source_name("latency", store.get("SR", sr, "uuid")), "μs", 1e12, microseconds))
    return found


def _of_sr(context: Context, sr: str) -> list[dict[str, Any]]:
    size = float(context.store.get("SR", sr, "physical_size"))
    return [
        _source("size", "B", size, size),
        _source("used", "B", size, float(context.store.get("SR", sr, "physical_utilisation"))),
    ]


_OF = {"VM": _of_vm, "host": _of_host, "SR": _of_sr}


def _register(cls: str) -> None:
    def told(context: Context, owner: str) -> list[dict[str, Any]]:
        off = context.state.strain.off
        return [{**one, "enabled": (owner, one["name_label"]) not in off} for one in _OF[cls](context, owner)]

    def named(context: Context, owner: str, name: str) -> dict[str, Any]:
        for source in told(context, owner):
            if source["name_label"] == name:
                return source
        raise invalid_value("data_source", name)

    @call(f"{cls}.get_data_sources")
    def sources(context: Context, owner: str) -> list[dict[str, Any]]:
        # The list says what there is, never how much: data_source.ml fills in 0 for every value.
        return [{**one, "value": 0.0} for one in told(context, owner)]

    def check(context: Context, owner: str) -> None:
        if cls == "VM":
            assert_allowed(context.state, owner, "data_source_op")

    @call(f"{cls}.query_data_source")
    def query(context: Context, owner: str, name: str) -> float:
        check(context, owner)
        found = named(context, owner, name)
        if not found["enabled"]:
            raise invalid_value("data_source", name)
        value: float = found["value"]
        return value

    def switch(change: Callable[[set[tuple[str, str]], tuple[str, str]], None]) -> Callable[[Context, str, str], None]:
        def carried_out(context: Context, owner: str, name: str) -> None:
            check(context, owner)
            named(context, owner, name)
            change(context.state.strain.off, (owner, name))

        return carried_out

    call(f"{cls}.record_data_source")(switch(lambda off, one: off.discard(one)))
    call(f"{cls}.forget_data_source_archives")(switch(lambda off, one: off.add(one)))


for _cls in _OF:
    _register(_cls)
