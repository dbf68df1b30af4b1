# SPDX-License-Identifier: Apache-2.0
"""network: bridge names and removal (xapi: xapi_network.ml, xapi_vlan.ml)."""

from v2x.simulators.xapi.failure import ApiError, invalid_value
from v2x.simulators.xapi.state import Context, PoolState, call
from v2x.simulators.xapi.store import Record

_RESERVED = ("xen", "xapi", "vif", "tap", "eth")
_BRIDGE_LIMIT = 15


def free_bridge(state: PoolState) -> str:
    used = {state.store.get("network", n, "bridge") for n in state.store.refs("network")}
    return next(name for n in range(len(used) + 1) if (name := f"xapi{n}") not in used)


@call("network.create")
def create(context: Context, values: Record) -> str:
    store, bridge = context.store, values.get("bridge", "")
    if bridge == "":
        bridge = free_bridge(context.state)
    elif len(bridge) > _BRIDGE_LIMIT or bridge.startswith(_RESERVED):
        raise invalid_value("bridge", bridge)
    elif store.find("network", bridge=bridge):
        raise ApiError("BRIDGE_NAME_EXISTS", bridge)
    mtu = values.get("MTU", 1500)
    return store.add("network", {**values, "bridge": bridge, "MTU": mtu if mtu > 0 else 1500})


@call("network.destroy")
def destroy(context: Context, network: str) -> None:
    store = context.store
    pifs = store.get("network", network, "PIFs")
    if pifs:
        raise ApiError("NETWORK_CONTAINS_PIF", ",".join(pifs))
    vifs = [v for v in store.get("network", network, "VIFs") if store.get("VIF", v, "currently_attached")]
    if vifs:
        raise ApiError("NETWORK_CONTAINS_VIF", ",".join(vifs))
    for vif in store.get("network", network, "VIFs"):
        store.remove("VIF", vif)
    store.remove("network", network)
