# SPDX-License-Identifier: Apache-2.0
"""Networks, the interfaces of hosts, and VLANs on them (xapi: xapi_network.ml, xapi_pif.ml, xapi_vlan.ml)."""

from typing import Any

from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.state import PoolState


def seed(state: PoolState, hosts: list[str], *, nics: int) -> None:
    """The networks of a fresh pool: one per interface, of which eth0 manages the hosts, a VLAN, and internal ones."""
    store = state.store
    network = store.add("network", {"name_label": "Pool-wide network associated with eth0", "bridge": "xenbr0"})
    tagged = store.add("network", {"name_label": "VLAN 10", "bridge": "xapi1"})
    store.add("network", {"name_label": "Internal", "bridge": "xapi0"})
    store.add(
        "network",
        {
            "name_label": "Host internal management network",
            "bridge": "xenapi",
            "other_config": {
                "is_guest_installer_network": "true",
                "is_host_internal_management_network": "true",
                "ip_begin": "169.254.0.1",
                "ip_end": "169.254.255.254",
                "netmask": "255.255.0.0",
            },
        },
    )
    for number, host in enumerate(hosts):
        pif = add_pif(state, host, network, mac=f"52:54:00:00:{number:02x}:01", management=True)
        add_vlan(state, pif, 10, tagged)
    for nic in range(1, nics):
        name = f"Pool-wide network associated with eth{nic}"
        network = store.add("network", {"name_label": name, "bridge": f"xenbr{nic}"})
        for number, host in enumerate(hosts):
            add_pif(state, host, network, device=f"eth{nic}", mac=f"52:54:00:00:{number:02x}:{nic + 1:02x}")


def add_pif(
    state: PoolState,
    host: str,
    network: str,
    *,
    mac: str,
    device: str = "eth0",
    management: bool = False,
    plugged: bool = True,
) -> str:
    """A physical interface of a host."""
    metrics = state.store.add(
        "PIF_metrics", {"carrier": True, "speed": 10000, "duplex": True, "last_updated": state.now()}
    )
    values: dict[str, Any] = {
        "device": device,
        "network": network,
        "host": host,
        "MAC": mac,
        "MTU": state.store.get("network", network, "MTU"),
        "VLAN": -1,
        "physical": True,
        "currently_attached": plugged,
        "metrics": metrics,
        "VLAN_master_of": NULL,
        "management": management,
        "ip_configuration_mode": "Static" if management else "None",
        "IP": "127.0.0.1" if management else "",
    }
    return state.store.add("PIF", values)


def add_vlan(state: PoolState, pif: str, tag: int, network: str) -> str:
    """A VLAN on a PIF; returns the VLAN record, whose untagged PIF is plugged."""
    store = state.store
    untagged = store.add(
        "PIF",
        {
            "device": store.get("PIF", pif, "device"),
            "network": network,
            "host": store.get("PIF", pif, "host"),
            "MAC": store.get("PIF", pif, "MAC"),
            "MTU": store.get("network", network, "MTU"),
            "VLAN": tag,
            "metrics": store.get("PIF", pif, "metrics"),
        },
    )
    vlan = store.add("VLAN", {"tagged_PIF": pif, "untagged_PIF": untagged, "tag": tag})
    store.set("PIF", untagged, VLAN_master_of=vlan)
    return vlan


def note_nics(state: PoolState) -> None:
    """The interfaces of all hosts, as their PIFs tell them: a PIF that is forgotten later is found again by a scan."""
    for pif in state.store.find("PIF", physical=True):
        values = state.store.values("PIF", pif)
        state.nics.setdefault(values["host"], {})[values["device"]] = values["MAC"].lower()
