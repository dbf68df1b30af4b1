# SPDX-License-Identifier: Apache-2.0
"""Fields that are worked out when they are read: space, memory, allowed operations."""

from v2x.simulators.xapi import operations
from v2x.simulators.xapi.state import PoolState
from v2x.simulators.xapi.store import Record


def install(state: PoolState) -> None:
    """Registers all computed fields with the store."""
    store, volumes = state.store, state.volumes

    def vdi_used(_ref: str, values: Record) -> int:
        uuid = values["uuid"]
        return volumes.get(uuid).used_bytes if volumes.known(uuid) else int(values["physical_utilisation"])

    def sr_used(_ref: str, values: Record) -> int:
        space = volumes.spaces.get(values["uuid"])
        return space.used_bytes if space is not None else 0

    def sr_allocated(ref: str, _values: Record) -> int:
        return store.total("VDI", store.get("SR", ref, "VDIs"), "virtual_size")

    def memory_free(ref: str, values: Record) -> int:
        hosts = store.find("host", metrics=ref)
        return int(values["memory_total"]) - (host_used(state, hosts[0]) if hosts else 0)

    store.compute("VDI", "physical_utilisation", vdi_used)
    store.compute("SR", "physical_utilisation", sr_used)
    store.compute("SR", "virtual_allocation", sr_allocated)
    store.compute("host_metrics", "memory_free", memory_free)
    operations.install(state)


def host_used(state: PoolState, host: str) -> int:
    """Memory taken on a host: the hypervisor's, the control domain's and that of the guests."""
    store = state.store
    guests = sum(
        store.get("VM", v, "memory_dynamic_max") + store.get("VM", v, "memory_overhead")
        for v in store.get("host", host, "resident_VMs")
    )
    return int(store.get("host", host, "memory_overhead")) + int(guests)
