# SPDX-License-Identifier: Apache-2.0
"""tunnel: a private network over a physical one (xapi: xapi_tunnel.ml)."""

from v2x.simulators.xapi.calls.pif import remove_pif
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import Context, call


@call("tunnel.create")
def create(context: Context, transport: str, network: str, protocol: str = "gre") -> str:
    """An access PIF on `network` over `transport`; it is plugged when the transport has an address."""
    store = context.store
    host = store.get("PIF", transport, "host")
    for other in store.get("network", network, "PIFs"):
        if store.get("PIF", other, "host") == host:
            raise ApiError("NETWORK_ALREADY_CONNECTED", host, other)
    if store.exists("Bond", store.get("PIF", transport, "bond_slave_of")):
        raise ApiError("CANNOT_ADD_TUNNEL_TO_BOND_SLAVE", transport)
    if store.get("PIF", transport, "tunnel_access_PIF_of"):
        raise ApiError("IS_TUNNEL_ACCESS_PIF", transport)
    taken = {store.get("PIF", p, "device") for p in store.find("PIF", host=host)}
    device = next(name for n in range(len(taken) + 1) if (name := f"tunnel{n}") not in taken)
    active = store.get("PIF", transport, "ip_configuration_mode") != "None"
    access = store.add(
        "PIF",
        {
            "device": device,
            "network": network,
            "host": host,
            "MAC": store.get("PIF", transport, "MAC"),
            "MTU": store.get("network", network, "MTU"),
            "VLAN": -1,
            "VLAN_master_of": NULL,
            "currently_attached": active,
            "metrics": store.add("PIF_metrics", {"carrier": True, "last_updated": context.state.now()}),
        },
    )
    values = {"access_PIF": access, "transport_PIF": transport, "status": {"active": str(active).lower()}}
    return store.add("tunnel", {**values, "protocol": protocol})


@call("tunnel.destroy")
def destroy(context: Context, tunnel: str) -> None:
    access = context.store.get("tunnel", tunnel, "access_PIF")
    context.store.remove("tunnel", tunnel)
    remove_pif(context.state, access)
