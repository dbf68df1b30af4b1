# SPDX-License-Identifier: Apache-2.0
"""The data sources of VM, host and SR: what is measured now. Nothing is recorded (xapi: xapi_data_source, rrdd).

Facts: xapi, xapi_vm.ml, xapi_host.ml, xapi_sr.ml.
"""

from typing import Any

from v2x.simulators.xapi.computed import host_used
from v2x.simulators.xapi.failure import invalid_value
from v2x.simulators.xapi.operations import assert_allowed, assert_power
from v2x.simulators.xapi.state import Context, call


def _source(name: str, units: str, most: float, value: float) -> dict[str, Any]:
    told = {"name_label": name, "name_description": name.replace("_", " "), "enabled": True, "standard": True}
    return {**told, "units": units, "min": 0.0, "max": most, "value": value}


def _of_vm(context: Context, vm: str) -> list[dict[str, Any]]:
    store = context.store
    assert_power(context.state, vm, "running")
    memory = float(store.get("VM", vm, "memory_static_max"))
    cpus = [_source(f"cpu{n}", "(fraction)", 1.0, 0.01) for n in range(store.get("VM", vm, "VCPUs_at_startup"))]
    return [*cpus, _source("memory", "B", memory, memory)]


def _of_host(context: Context, host: str) -> list[dict[str, Any]]:
    metrics = context.store.get("host", host, "metrics")
    total = float(context.store.get("host_metrics", metrics, "memory_total"))
    free = total - host_used(context.state, host)
    return [
        _source("memory_total_kib", "KiB", total, total / 1024),
        _source("memory_free_kib", "KiB", total, free / 1024),
    ]


def _of_sr(context: Context, sr: str) -> list[dict[str, Any]]:
    size = float(context.store.get("SR", sr, "physical_size"))
    return [
        _source("size", "B", size, size),
        _source("used", "B", size, float(context.store.get("SR", sr, "physical_utilisation"))),
    ]


_OF = {"VM": _of_vm, "host": _of_host, "SR": _of_sr}


def _register(cls: str) -> None:
    def named(context: Context, owner: str, name: str) -> dict[str, Any]:
        for source in _OF[cls](context, owner):
            if source["name_label"] == name:
                return source
        raise invalid_value("data_source", name)

    @call(f"{cls}.get_data_sources")
    def sources(context: Context, owner: str) -> list[dict[str, Any]]:
        return _OF[cls](context, owner)

    def check(context: Context, owner: str) -> None:
        if cls == "VM":
            assert_allowed(context.state, owner, "data_source_op")

    @call(f"{cls}.query_data_source")
    def query(context: Context, owner: str, name: str) -> float:
        check(context, owner)
        value: float = named(context, owner, name)["value"]
        return value

    @call(f"{cls}.record_data_source", f"{cls}.forget_data_source_archives")
    def record(context: Context, owner: str, name: str) -> None:
        check(context, owner)
        named(context, owner, name)


for _cls in _OF:
    _register(_cls)
