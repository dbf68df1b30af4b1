# SPDX-License-Identifier: Apache-2.0
"""Bond: several physical interfaces of one host as one (xapi: xapi_bond.ml).

What hangs on the members (addresses, VLANs, NICs of VMs on their networks) moves to the bond, and back when it goes.
"""

import re

from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError, invalid_value
from v2x.simulators.xapi.state import Context, PoolState, call
from v2x.simulators.xapi.store import Record

_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_LEAST_MEMBERS = 2
_COUNTS = frozenset({"miimon", "downdelay", "updelay", "use_carrier", "lacp-aggregation-key", "lacp-fallback-ab"})
_HASHES = ("src_mac", "tcpudp_ports")
_ADDRESS: Record = {
    "ip_configuration_mode": "None",
    "IP": "",
    "netmask": "",
    "gateway": "",
    "DNS": "",
    "management": False,
}


def _check_members(state: PoolState, members: list[str]) -> str:
    """The host that all of `members` are on; each is a free physical interface."""
    store = state.store
    if len(set(members)) < _LEAST_MEMBERS:
        raise ApiError("PIF_BOND_NEEDS_MORE_MEMBERS")
    for pif in members:
        if store.exists("Bond", store.get("PIF", pif, "bond_slave_of")):
            raise ApiError("PIF_ALREADY_BONDED", pif)
        if store.get("PIF", pif, "VLAN") >= 0:
            raise ApiError("PIF_VLAN_EXISTS", store.get("PIF", pif, "device"))
        if store.get("PIF", pif, "tunnel_access_PIF_of"):
            raise ApiError("IS_TUNNEL_ACCESS_PIF", pif)
        if not store.get("PIF", pif, "physical"):
            raise ApiError("PIF_IS_NOT_PHYSICAL", pif)
    hosts = {store.get("PIF", pif, "host") for pif in members}
    if len(hosts) > 1:
        raise ApiError("PIF_CANNOT_BOND_CROSS_HOST")
    if sum(store.get("PIF", pif, "ip_configuration_mode") != "None" for pif in members) > 1:
        raise ApiError("PIF_BOND_MORE_THAN_ONE_IP")
    host: str = hosts.pop()
    return host


def _check_properties(properties: dict[str, str]) -> None:
    for name, value in properties.items():
        if name == "hashing_algorithm":
            good = value in _HASHES
        elif name == "lacp-time":
            good = value in ("slow", "fast")
        elif name in _COUNTS:
            good = value.isdigit() or value in ("true", "false")
        else:
            raise invalid_value("properties", name)
        if not good:
            raise invalid_value(name, value)


@call("Bond.create")
def create(context: Context, network: str, members: list[str], mac: str, mode: str, properties: dict[str, str]) -> str:
    """A bond of `members` on `network`, plugged; it takes over the address of the member that has one."""
    state, store = context.state, context.store
    host = _check_members(state, members)
    for other in store.get("network", network, "PIFs"):
        if store.get("PIF", other, "host") == host:
            raise ApiError("NETWORK_ALREADY_CONNECTED", host, other)
    if mac and not _MAC.fullmatch(mac):
        raise ApiError("MAC_INVALID", mac)
    _check_properties(properties)
    primary = next((p for p in members if store.get("PIF", p, "management")), None)
    primary = primary or next(
        (p for p in members if store.get("PIF", p, "ip_configuration_mode") != "None"), members[0]
    )
    taken = {store.get("PIF", p, "device") for p in store.find("PIF", host=host)}
    device = next(name for n in range(len(taken) + 1) if (name := f"bond{n}") not in taken)
    address = {name: store.get("PIF", primary, name) for name in _ADDRESS}
    master = store.add(
        "PIF",
        {
            **address,
            "device": device,
            "network": network,
            "host": host,
            "MAC": mac or store.get("PIF", primary, "MAC"),
            "MTU": store.get("network", network, "MTU"),
            "VLAN": -1,
            "physical": False,
            "currently_attached": True,
            "metrics": store.add("PIF_metrics", {"carrier": True, "speed": 10000, "last_updated": state.now()}),
            "VLAN_master_of": NULL,
        },
    )
    bond = store.add(
        "Bond",
        {
            "master": master,
            "primary_slave": primary,
            "mode": mode,
            "properties": properties,
            "links_up": len(members),
            "auto_update_mac": not mac,
        },
    )
    for pif in members:
        store.set("PIF", pif, bond_slave_of=bond, currently_attached=False, **_ADDRESS)
        _move_users(state, pif, master)
    return bond


def _move_users(state: PoolState, before: str, after: str) -> None:
    """VLANs and tunnels of one PIF, and the NICs on its network, belong to another from now on."""
    store = state.store
    for vlan in store.get("PIF", before, "VLAN_slave_of"):
        store.set("VLAN", vlan, tagged_PIF=after)
        untagged = store.get("VLAN", vlan, "untagged_PIF")
        store.set("PIF", untagged, device=store.get("PIF", after, "device"), MAC=store.get("PIF", after, "MAC"))
    for tunnel in store.get("PIF", before, "tunnel_transport_PIF_of"):
        store.set("tunnel", tunnel, transport_PIF=after)
    old, new = store.get("PIF", before, "network"), store.get("PIF", after, "network")
    if not [p for p in store.get("network", old, "PIFs") if store.get("PIF", p, "currently_attached")]:
        for vif in store.get("network", old, "VIFs"):
            store.set("VIF", vif, network=new)


@call("Bond.destroy")
def destroy(context: Context, bond: str) -> None:
    """The primary member takes back what the bond took over."""
    state, store = context.state, context.store
    master, primary = store.get("Bond", bond, "master"), store.get("Bond", bond, "primary_slave")
    members = store.get("Bond", bond, "slaves")
    if not store.exists("PIF", primary):
        primary = members[0]
    for pif in members:
        store.set("PIF", pif, bond_slave_of=NULL, currently_attached=True)
    store.set("PIF", primary, **{name: store.get("PIF", master, name) for name in _ADDRESS})
    store.set("PIF", master, currently_attached=False)
    _move_users(state, master, primary)
    store.remove("Bond", bond)
    store.remove("PIF", master)


@call("Bond.set_mode")
def set_mode(context: Context, bond: str, mode: str) -> None:
    """LACP hashes by ports unless told otherwise."""
    store = context.store
    properties = store.get("Bond", bond, "properties")
    if mode == "lacp":
        properties.setdefault("hashing_algorithm", "tcpudp_ports")
    store.set("Bond", bond, mode=mode, properties=properties)


@call("Bond.set_property")
def set_property(context: Context, bond: str, name: str, value: str) -> None:
    held = context.store.get("Bond", bond, "properties")
    _check_properties({name: value})
    context.store.set("Bond", bond, properties=held | {name: value})
