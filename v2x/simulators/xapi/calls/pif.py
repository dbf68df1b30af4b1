# SPDX-License-Identifier: Apache-2.0
"""PIF: scan, introduce and forget, addresses, plug and unplug (xapi: xapi_pif.ml)."""

import ipaddress
import re

from v2x.simulators.xapi.cabling import add_pif
from v2x.simulators.xapi.calls.network import free_bridge
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError, invalid_value
from v2x.simulators.xapi.state import Context, PoolState, call

_DEVICE = re.compile(r"eth(\d+)")


def _assert_free(state: PoolState, pif: str) -> None:
    """No bond, VLAN or tunnel is made of the interface, and it does not carry the management."""
    store = state.store
    if store.exists("Bond", store.get("PIF", pif, "bond_slave_of")):
        raise ApiError("PIF_ALREADY_BONDED", pif)
    if store.get("PIF", pif, "VLAN_slave_of"):
        raise ApiError("PIF_VLAN_STILL_EXISTS", pif)
    if store.get("PIF", pif, "tunnel_transport_PIF_of"):
        raise ApiError("PIF_TUNNEL_STILL_EXISTS", pif)
    if store.get("PIF", pif, "management"):
        raise ApiError("PIF_IS_MANAGEMENT_INTERFACE", pif)


@call("PIF.plug")
def plug(context: Context, pif: str) -> None:
    store = context.store
    if store.exists("Bond", store.get("PIF", pif, "bond_slave_of")):
        raise ApiError("CANNOT_PLUG_BOND_SLAVE", pif)
    tunnels = store.get("PIF", pif, "tunnel_access_PIF_of")
    if tunnels:
        transport = store.get("tunnel", tunnels[0], "transport_PIF")
        if store.get("PIF", transport, "ip_configuration_mode") == "None":
            raise ApiError("TRANSPORT_PIF_NOT_CONFIGURED", transport)
    store.set("PIF", pif, currently_attached=True)


@call("PIF.unplug")
def unplug(context: Context, pif: str) -> None:
    """Refused while a running VM needs its network here."""
    store = context.store
    if store.get("PIF", pif, "management"):
        raise ApiError("PIF_IS_MANAGEMENT_INTERFACE", pif)
    if store.get("PIF", pif, "disallow_unplug"):
        raise ApiError("PIF_DOES_NOT_ALLOW_UNPLUG", pif)
    host = store.get("PIF", pif, "host")
    for vif in store.get("network", store.get("PIF", pif, "network"), "VIFs"):
        vm = store.get("VIF", vif, "VM")
        if store.get("VIF", vif, "currently_attached") and store.get("VM", vm, "resident_on") == host:
            raise ApiError("OPERATION_NOT_ALLOWED", f"PIF still in use by VIF {store.get('VIF', vif, 'uuid')}")
    store.set("PIF", pif, currently_attached=False)


def _device_of(context: Context, host: str, device: str, mac: str) -> str:
    """The MAC address of a device that the host has. MAC_DOES_NOT_EXIST when it has no such interface."""
    found = context.state.nics.get(host, {})
    if mac and mac.lower() not in found.values():
        raise ApiError("MAC_DOES_NOT_EXIST", mac)
    if device not in found or (mac and found[device] != mac.lower()):
        raise ApiError("COULD_NOT_FIND_NETWORK_INTERFACE_WITH_SPECIFIED_DEVICE_NAME_AND_MAC_ADDRESS", device, mac)
    return found[device]


def _introduce(context: Context, host: str, device: str, mac: str) -> str:
    """The PIF of a device on the network of its bridge, which is made when there is none."""
    state, store = context.state, context.store
    number = _DEVICE.fullmatch(device)
    bridge = f"xenbr{number[1]}" if number else f"br{device}"[:15]
    found = store.find("network", bridge=bridge)
    if found:
        network = found[0]
    else:
        name = f"Pool-wide network associated with {device}"
        network = store.add("network", {"name_label": name, "bridge": bridge or free_bridge(state)})
    return add_pif(state, host, network, device=device, mac=mac, plugged=False)


@call("PIF.scan")
def scan(context: Context, host: str) -> None:
    """Every interface of the host has a PIF after it."""
    store = context.store
    known = {store.get("PIF", p, "MAC").lower() for p in store.find("PIF", host=host, physical=True)}
    for device, mac in context.state.nics.get(host, {}).items():
        if mac not in known:
            _introduce(context, host, device, mac)


@call("PIF.introduce")
def introduce(context: Context, host: str, mac: str, device: str, _managed: bool) -> str:
    store = context.store
    if device and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", device):
        raise invalid_value("device", device)
    mac = _device_of(context, host, device, mac)
    for pif in store.find("PIF", host=host, physical=True):
        if store.get("PIF", pif, "device") == device:
            raise ApiError("DUPLICATE_PIF_DEVICE_NAME", device)
    return _introduce(context, host, device, mac)


@call("PIF.forget")
def forget(context: Context, pif: str) -> None:
    """Only the record goes; a scan finds the interface again."""
    state, store = context.state, context.store
    if not store.get("PIF", pif, "physical"):
        raise ApiError("PIF_IS_NOT_PHYSICAL", pif)
    _assert_free(state, pif)
    if store.get("PIF", pif, "disallow_unplug"):
        raise ApiError("PIF_DOES_NOT_ALLOW_UNPLUG", pif)
    remove_pif(state, pif)


@call("PIF.db_forget")
def db_forget(context: Context, pif: str) -> None:
    remove_pif(context.state, pif)


def remove_pif(state: PoolState, pif: str) -> None:
    metrics = state.store.get("PIF", pif, "metrics")
    state.store.remove("PIF", pif)
    if state.store.exists("PIF_metrics", metrics) and not state.store.find("PIF", metrics=metrics):
        state.store.remove("PIF_metrics", metrics)


def _address(field: str, text: str, *, required: bool) -> None:
    try:
        if text or required:
            ipaddress.ip_address(text)
    except ValueError:
        raise invalid_value(field, text) from None


@call("PIF.reconfigure_ip")
def reconfigure_ip(context: Context, pif: str, mode: str, ip: str, netmask: str, gateway: str, dns: str) -> None:
    """Static needs an address and a netmask; DHCP and None clear what was there."""
    store = context.store
    if store.exists("Bond", store.get("PIF", pif, "bond_slave_of")) and mode != "None":
        raise ApiError("CANNOT_PLUG_BOND_SLAVE", pif)
    if mode == "None" and store.get("PIF", pif, "management"):
        raise ApiError("PIF_IS_MANAGEMENT_INTERFACE", pif)
    if mode == "Static":
        _address("IP", ip, required=True)
        _address("netmask", netmask, required=True)
        _address("gateway", gateway, required=False)
        for server in filter(None, dns.split(",")):
            _address("DNS", server, required=True)
        values = {"IP": ip, "netmask": netmask, "gateway": gateway, "DNS": dns}
    else:
        values = dict.fromkeys(("IP", "netmask", "gateway", "DNS"), "")
    store.set("PIF", pif, ip_configuration_mode=mode, **values)


@call("PIF.reconfigure_ipv6")
def reconfigure_ipv6(context: Context, pif: str, mode: str, ipv6: str, gateway: str, dns: str) -> None:
    store = context.store
    store.get("PIF", pif, "uuid")
    if mode == "Static":
        try:
            ipaddress.IPv6Interface(ipv6)
        except ValueError:
            raise invalid_value("IPv6", ipv6) from None
        _address("gateway", gateway, required=False)
    addresses = [ipv6] if mode == "Static" else []
    store.set("PIF", pif, ipv6_configuration_mode=mode, IPv6=addresses, ipv6_gateway=gateway, DNS=dns)


@call("PIF.set_primary_address_type")
def set_primary_address_type(context: Context, pif: str, kind: str) -> None:
    store = context.store
    if kind == "IPv4" and store.get("PIF", pif, "ip_configuration_mode") == "None":
        raise ApiError("PIF_HAS_NO_NETWORK_CONFIGURATION", pif)
    if kind == "IPv6" and store.get("PIF", pif, "ipv6_configuration_mode") == "None":
        raise ApiError("PIF_HAS_NO_V6_NETWORK_CONFIGURATION", pif)
    store.set("PIF", pif, primary_address_type=kind)


@call("PIF.set_property")
def set_property(context: Context, pif: str, name: str, value: str) -> None:
    """`gro` is the one property there is."""
    held = context.store.get("PIF", pif, "properties")
    if context.store.get("PIF", pif, "VLAN") >= 0 or context.store.get("PIF", pif, "tunnel_access_PIF_of"):
        raise ApiError("CANNOT_CHANGE_PIF_PROPERTIES", pif)
    if name != "gro":
        raise invalid_value("name", name)
    if value not in ("on", "off"):
        raise invalid_value("value", value)
    context.store.set("PIF", pif, properties=held | {name: value})


@call("network.attach")
def attach_network(context: Context, _network: str, host: str) -> None:
    """Hosts make bridges when they are needed; the records stay as they are."""
    context.store.get("host", host, "uuid")


@call("network.attach_for_vm", "network.detach_for_vm")
def attach_for_vm(context: Context, _host: str, vm: str) -> None:
    context.store.get("VM", vm, "uuid")


@call("host.management_reconfigure")
def management_reconfigure(context: Context, pif: str) -> None:
    """The host is managed over this interface from now on, which needs an address."""
    store = context.store
    if store.get("PIF", pif, "ip_configuration_mode") == "None":
        raise ApiError("PIF_HAS_NO_NETWORK_CONFIGURATION", pif)
    _manage(context, pif)


@call("pool.management_reconfigure")
def pool_management_reconfigure(context: Context, network: str) -> None:
    """Every host is managed over its interface on `network`."""
    store, chosen = context.store, []
    if store.get("pool", context.state.pool_ref, "ha_enabled"):
        raise ApiError("HA_IS_ENABLED")
    for host in store.refs("host"):
        here = [p for p in store.get("network", network, "PIFs") if store.get("PIF", p, "host") == host]
        if not here or store.get("PIF", here[0], "ip_configuration_mode") == "None":
            raise ApiError("PIF_HAS_NO_NETWORK_CONFIGURATION", here[0] if here else NULL)
        chosen.append(here[0])
    for pif in chosen:
        _manage(context, pif)


def _manage(context: Context, pif: str) -> None:
    store = context.store
    for other in store.find("PIF", host=store.get("PIF", pif, "host"), management=True):
        store.set("PIF", other, management=False)
    store.set("PIF", pif, management=True)
