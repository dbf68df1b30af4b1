# SPDX-License-Identifier: Apache-2.0
"""Which interface carries a network, read from PIF, bond and VLAN records."""

from typing import Any

import pytest

from v2x.target.xapi import facts

HOSTS = {"H1": {"uuid": "h1"}, "H2": {"uuid": "h2"}}
NULL = "OpaqueRef:NULL"


def pif(network: str, device: str, host: str = "H1", **more: Any) -> dict[str, Any]:
    plain = {"VLAN": "-1", "physical": True, "bond_master_of": [], "bond_slave_of": NULL, "VLAN_master_of": NULL}
    return {"network": network, "device": device, "host": host, "currently_attached": True, **plain, **more}


def read(networks: list[str], pifs: dict[str, dict[str, Any]], vlans: dict[str, dict[str, Any]] | None = None):
    records = {name: {"uuid": f"u-{name}", "name_label": name, "MTU": "1500"} for name in networks}
    return {network.name: network for network in facts.networks_of(records, pifs, vlans or {}, HOSTS)}


def tagged(tag: int, network: str, device: str, host: str, vlan: str) -> dict[str, Any]:
    return pif(network, device, host, VLAN=str(tag), physical=False, VLAN_master_of=vlan)


def test_a_vlan_is_carried_by_the_untagged_network_of_its_interface() -> None:
    found = read(
        ["raw", "v20"],
        {
            "a": pif("raw", "eth0", management=True),
            "b": pif("raw", "eth1", "H2"),
            "c": tagged(20, "v20", "eth0", "H1", "V1"),
            "d": tagged(20, "v20", "eth1", "H2", "V2"),
        },
        {"V1": {"tagged_PIF": "a"}, "V2": {"tagged_PIF": "b"}},
    )
    raw, vlan = found["raw"], found["v20"]
    assert (vlan.vlan, vlan.carrier, vlan.is_uplink) == (20, "u-raw", False)
    assert vlan.devices == {"h1": "eth0", "h2": "eth1"}
    assert (raw.vlan, raw.carrier, raw.is_uplink, raw.is_management) == (None, "u-raw", True, True)
    assert raw.device_names == "eth0, eth1"
    assert raw.hosts == ("h1", "h2")


def test_members_of_a_bond_carry_nothing_and_the_bond_does() -> None:
    found = read(
        ["eth0", "eth1", "bond"],
        {
            "a": pif("eth0", "eth0", bond_slave_of="B", currently_attached=False),
            "b": pif("eth1", "eth1", bond_slave_of="B", currently_attached=False),
            "c": pif("bond", "bond0", physical=False, bond_master_of=["B"]),
        },
    )
    assert (found["bond"].is_bond, found["bond"].is_uplink) == (True, True)
    for member in ("eth0", "eth1"):
        assert (found[member].in_bond, found[member].is_uplink) == (True, False)


def test_a_vlan_that_two_hosts_have_on_networks_of_their_own_has_no_one_carrier() -> None:
    found = read(
        ["one", "two", "v"],
        {
            "a": pif("one", "eth0"),
            "b": pif("two", "eth0", "H2"),
            "c": tagged(5, "v", "eth0", "H1", "V1"),
            "d": tagged(5, "v", "eth0", "H2", "V2"),
        },
        {"V1": {"tagged_PIF": "a"}, "V2": {"tagged_PIF": "b"}},
    )
    assert (found["v"].carrier, found["v"].vlan) == ("", 5)


@pytest.mark.parametrize(
    "record",
    [
        {"physical": False, "tunnel_access_PIF_of": ["T"], "device": "tunnel0"},
        {"physical": False, "VLAN": "7", "VLAN_master_of": "gone"},
        {"host": "elsewhere", "physical": False},
    ],
)
def test_what_is_no_interface_carries_no_vlan(record: dict[str, Any]) -> None:
    network = read(["n"], {"a": pif("n", "eth0") | record})["n"]
    assert (network.carrier, network.is_uplink, network.is_bond) == ("", False, False)


def test_an_internal_network_has_no_interface() -> None:
    network = read(["n"], {})["n"]
    assert (network.devices, network.carrier, network.in_bond) == ({}, "", False)


@pytest.mark.parametrize(
    ("software", "expected"),
    [({"xapi_build": "26.17.0"}, True), ({"xapi": "26.1"}, False), ({"xapi_build": "26.4.1"}, False), ({}, False)],
)
def test_trunks_need_26_17(software: object, expected: bool) -> None:
    assert facts.takes_trunks(software) is expected
