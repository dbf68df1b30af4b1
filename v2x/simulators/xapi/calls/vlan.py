# SPDX-License-Identifier: Apache-2.0
"""VLAN and PIF: the rules of xapi: xapi_network.ml, xapi_vlan.ml."""

from v2x.simulators.xapi.cabling import add_vlan
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import Context, PoolState, call

_TAGS = range(4095)


def _check(state: PoolState, pif: str, tag: int, network: str) -> None:
    store = state.store
    host, device = store.get("PIF", pif, "host"), store.get("PIF", pif, "device")
    for other in store.get("network", network, "PIFs"):
        if store.get("PIF", other, "host") == host:
            raise ApiError("NETWORK_ALREADY_CONNECTED", host, other)
    if store.exists("Bond", store.get("PIF", pif, "bond_slave_of")):
        raise ApiError("CANNOT_ADD_VLAN_TO_BOND_SLAVE", pif)
    if store.get("PIF", pif, "VLAN") >= 0:
        raise ApiError("PIF_IS_VLAN", pif)
    if store.get("PIF", pif, "tunnel_access_PIF_of"):
        raise ApiError("IS_TUNNEL_ACCESS_PIF", pif)
    if tag not in _TAGS:
        raise ApiError("VLAN_TAG_INVALID", tag)
    for vlan in store.get("PIF", pif, "VLAN_slave_of"):
        if store.get("VLAN", vlan, "tag") == tag:
            raise ApiError("PIF_VLAN_EXISTS", device)
    if tag in state.kernel_vlans:
        raise ApiError("VLAN_IN_USE", device, tag)


def make_vlan(state: PoolState, pif: str, tag: int, network: str) -> str:
    state.store.get("network", network, "uuid")
    _check(state, pif, tag, network)
    return add_vlan(state, pif, tag, network)


def remove_vlan(state: PoolState, vlan: str) -> None:
    untagged = state.store.get("VLAN", vlan, "untagged_PIF")
    state.store.remove("VLAN", vlan)
    state.store.remove("PIF", untagged)


@call("VLAN.create")
def create(context: Context, pif: str, tag: int, network: str) -> str:
    return make_vlan(context.state, pif, tag, network)


@call("VLAN.destroy")
def destroy(context: Context, vlan: str) -> None:
    remove_vlan(context.state, vlan)


@call("PIF.create_VLAN")
def create_on_host(context: Context, device: str, network: str, host: str, tag: int) -> str:
    context.store.get("host", host, "uuid")
    found = context.store.find("PIF", device=device, host=host, VLAN=-1)
    if not found:
        raise ApiError("PIF_DEVICE_NOT_FOUND")
    vlan = make_vlan(context.state, found[0], tag, network)
    untagged: str = context.store.get("VLAN", vlan, "untagged_PIF")
    return untagged


def _on_pool(context: Context, pifs: list[str], network: str, tag: int) -> list[str]:
    """A VLAN on each of `pifs`; all of them or none."""
    state, made = context.state, []
    try:
        for pif in pifs:
            made.append(make_vlan(state, pif, tag, network))
    except ApiError:
        for vlan in made:
            remove_vlan(state, vlan)
        raise
    return [state.store.get("VLAN", v, "untagged_PIF") for v in made]


@call("pool.create_VLAN_from_PIF")
def create_from_pif(context: Context, pif: str, network: str, tag: int) -> list[str]:
    store = context.store
    same = store.get("network", store.get("PIF", pif, "network"), "PIFs")
    live = [
        p for p in same if store.get("host_metrics", store.get("host", store.get("PIF", p, "host"), "metrics"), "live")
    ]
    return _on_pool(context, live, network, tag)


@call("pool.create_VLAN")
def create_on_pool(context: Context, device: str, network: str, tag: int) -> list[str]:
    return _on_pool(context, context.store.find("PIF", device=device, VLAN=-1), network, tag)


@call("PIF.destroy")
def destroy_pif(context: Context, pif: str) -> None:
    vlan = context.store.get("PIF", pif, "VLAN_master_of")
    if vlan == NULL:
        raise ApiError("PIF_IS_PHYSICAL", pif)
    remove_vlan(context.state, vlan)
