# SPDX-License-Identifier: Apache-2.0
"""Bonds, tunnels and the interfaces of hosts."""

import pytest

from v2x.simulators.xapi import Layout

NULL = "OpaqueRef:NULL"


@pytest.fixture
def pool(simulated_pool):
    return simulated_pool(layout=Layout(hosts=2, nics=3, kernel_vlans=(77,)))


@pytest.fixture
def error(client, refused):
    def call(method, *args):
        with pytest.raises(refused) as failed:
            client.rpc(method, *args)
        return list(failed.value.args)

    return call


@pytest.fixture
def nics(client):
    """The physical PIFs of the first host, eth0 first."""
    host = client.rpc("host.get_all")[0]
    found = {r: p for r, p in client.rpc("PIF.get_all_records").items() if p["physical"] and p["host"] == host}
    return sorted(found, key=lambda ref: found[ref]["device"])


def network(client, name="n"):
    return client.rpc("network.create", {"name_label": name, "other_config": {}})


def test_a_bond_takes_over_what_its_members_had(client, nics, error):
    eth0, eth1, _eth2 = nics
    vif = client.vif(client.vm(), client.rpc("PIF.get_network", eth1))
    (vlan,) = client.rpc("PIF.get_VLAN_slave_of", eth0)
    where = network(client, "bond")
    bond = client.rpc("Bond.create", where, [eth0, eth1], "", "active-backup", {})
    record = client.rpc("Bond.get_record", bond)
    assert (sorted(record["slaves"]), record["primary_slave"], record["mode"]) == (
        sorted([eth0, eth1]),
        eth0,
        "active-backup",
    )
    master = client.rpc("PIF.get_record", record["master"])
    assert (master["device"], master["management"], master["IP"], master["physical"]) == (
        "bond0",
        True,
        "127.0.0.1",
        False,
    )
    assert (master["network"], master["bond_master_of"]) == (where, [bond])
    assert client.rpc("VLAN.get_tagged_PIF", vlan) == record["master"]
    member = client.rpc("PIF.get_record", eth0)
    assert (member["bond_slave_of"], member["currently_attached"], member["management"]) == (bond, False, False)
    assert error("PIF.plug", eth0) == ["CANNOT_PLUG_BOND_SLAVE", eth0]
    assert error("VLAN.create", eth1, "40", network(client)) == ["CANNOT_ADD_VLAN_TO_BOND_SLAVE", eth1]
    assert client.rpc("VIF.get_network", vif) == client.rpc("PIF.get_network", eth1)  # the other host has it still
    client.rpc("Bond.set_mode", bond, "lacp")
    assert client.rpc("Bond.get_properties", bond)["hashing_algorithm"] == "tcpudp_ports"
    client.rpc("Bond.set_property", bond, "hashing_algorithm", "src_mac")
    assert error("Bond.set_property", bond, "colour", "red")[0] == "INVALID_VALUE"
    client.rpc("Bond.destroy", bond)
    assert error("PIF.get_uuid", record["master"])[0] == "HANDLE_INVALID"
    assert client.rpc("PIF.get_management", eth0) is True
    assert client.rpc("VLAN.get_tagged_PIF", vlan) == eth0
    assert client.rpc("PIF.get_bond_slave_of", eth1) == NULL


def test_what_is_no_bond_is_refused(client, nics, error):
    eth0, eth1, eth2 = nics
    where = network(client)
    other = next(
        r
        for r, p in client.rpc("PIF.get_all_records").items()
        if p["physical"] and r not in nics and p["device"] == "eth2"
    )
    untagged = client.rpc("VLAN.get_untagged_PIF", client.rpc("PIF.get_VLAN_slave_of", eth0)[0])

    def refused(members, mac="", network=where, properties=None):
        return error("Bond.create", network, members, mac, "balance-slb", properties or {})

    assert refused([eth1]) == ["PIF_BOND_NEEDS_MORE_MEMBERS"]
    assert refused([eth1, other]) == ["PIF_CANNOT_BOND_CROSS_HOST"]
    assert refused([eth1, untagged]) == ["PIF_VLAN_EXISTS", "eth0"]
    assert refused([eth1, eth2], network=client.rpc("PIF.get_network", eth0))[0] == "NETWORK_ALREADY_CONNECTED"
    assert refused([eth1, eth2], mac="nonsense") == ["MAC_INVALID", "nonsense"]
    assert refused([eth1, eth2], properties={"colour": "red"})[0] == "INVALID_VALUE"
    client.rpc("Bond.create", where, [eth1, eth2], "", "balance-slb", {})
    assert error("Bond.create", network(client), [eth1, eth0], "", "lacp", {}) == ["PIF_ALREADY_BONDED", eth1]


def test_a_vlan_may_be_made_on_a_bond(client, nics):
    bond = client.rpc("Bond.create", network(client), nics[1:], "", "balance-slb", {})
    master = client.rpc("Bond.get_master", bond)
    vlan = client.rpc("VLAN.create", master, "30", network(client))
    assert client.rpc("PIF.get_device", client.rpc("VLAN.get_untagged_PIF", vlan)) == "bond0"
    made = client.rpc("pool.create_VLAN", "bond0", network(client), "31")
    assert [client.rpc("PIF.get_VLAN", p) for p in made] == ["31"]


def test_invariant_32_the_kernels_own_tag_is_refused(client, nics, error):
    assert error("VLAN.create", nics[0], "77", network(client)) == ["VLAN_IN_USE", "eth0", "77"]


def test_interfaces_are_forgotten_and_found_again(client, nics, error):
    eth0, eth1, eth2 = nics
    host, mac = client.rpc("PIF.get_host", eth1), client.rpc("PIF.get_MAC", eth1)
    assert error("PIF.forget", eth0)[0] == "PIF_VLAN_STILL_EXISTS"
    client.rpc("VLAN.create", eth2, "50", network(client))
    assert error("PIF.forget", eth2) == ["PIF_VLAN_STILL_EXISTS", eth2]
    client.rpc("PIF.forget", eth1)
    assert error("PIF.get_uuid", eth1)[0] == "HANDLE_INVALID"
    client.rpc("PIF.scan", host)
    (found,) = [r for r, p in client.rpc("PIF.get_all_records").items() if p["MAC"] == mac]
    record = client.rpc("PIF.get_record", found)
    assert (record["device"], record["host"], record["currently_attached"]) == ("eth1", host, False)
    assert client.rpc("network.get_bridge", record["network"]) == "xenbr1"
    client.rpc("PIF.forget", found)
    assert error("PIF.introduce", host, "02:02:02:02:02:02", "eth1", True) == [
        "MAC_DOES_NOT_EXIST",
        "02:02:02:02:02:02",
    ]
    again = client.rpc("PIF.introduce", host, mac, "eth1", True)
    assert client.rpc("PIF.get_MAC", again) == mac
    assert error("PIF.introduce", host, mac, "eth1", True) == ["DUPLICATE_PIF_DEVICE_NAME", "eth1"]


def test_interfaces_get_addresses(client, nics, error):
    eth0, eth1, _eth2 = nics
    client.rpc("PIF.reconfigure_ip", eth1, "Static", "192.0.2.9", "255.255.255.0", "192.0.2.1", "192.0.2.2,192.0.2.3")
    record = client.rpc("PIF.get_record", eth1)
    assert (record["IP"], record["netmask"], record["gateway"]) == ("192.0.2.9", "255.255.255.0", "192.0.2.1")
    assert error("PIF.reconfigure_ip", eth1, "Static", "here", "255.255.255.0", "", "") == [
        "INVALID_VALUE",
        "IP",
        "here",
    ]
    assert error("PIF.reconfigure_ip", eth0, "None", "", "", "", "") == ["PIF_IS_MANAGEMENT_INTERFACE", eth0]
    client.rpc("host.management_reconfigure", eth1)
    assert (client.rpc("PIF.get_management", eth0), client.rpc("PIF.get_management", eth1)) == (False, True)
    client.rpc("PIF.reconfigure_ip", eth0, "DHCP", "", "", "", "")
    assert client.rpc("PIF.get_IP", eth0) == ""


def test_an_interface_in_use_stays_plugged(client, nics, error):
    eth0, eth1, _eth2 = nics
    assert error("PIF.unplug", eth0) == ["PIF_IS_MANAGEMENT_INTERFACE", eth0]
    vm = client.vm()
    client.vif(vm, client.rpc("PIF.get_network", eth1))
    client.rpc("VM.start_on", vm, client.rpc("PIF.get_host", eth1), False, False)
    assert error("PIF.unplug", eth1)[0] == "OPERATION_NOT_ALLOWED"
    client.rpc("VM.hard_shutdown", vm)
    client.rpc("PIF.unplug", eth1)
    client.rpc("PIF.plug", eth1)
    client.rpc("PIF.set_disallow_unplug", eth1, True)
    assert error("PIF.unplug", eth1) == ["PIF_DOES_NOT_ALLOW_UNPLUG", eth1]


def test_a_tunnel_has_an_access_interface(client, nics, error):
    eth0, eth1, _eth2 = nics
    where = network(client)
    tunnel = client.rpc("tunnel.create", eth0, where, "vxlan")
    access = client.rpc("tunnel.get_access_PIF", tunnel)
    assert client.rpc("PIF.get_network", access) == where
    assert client.rpc("tunnel.get_status", tunnel) == {"active": "true"}
    assert error("tunnel.create", access, network(client), "gre") == ["IS_TUNNEL_ACCESS_PIF", access]
    assert error("VLAN.create", access, "9", network(client)) == ["IS_TUNNEL_ACCESS_PIF", access]
    bare = client.rpc("tunnel.create", eth1, network(client), "gre")
    without = client.rpc("tunnel.get_access_PIF", bare)
    assert error("PIF.plug", without) == ["TRANSPORT_PIF_NOT_CONFIGURED", eth1]
    assert error("PIF.forget", eth1)[0] == "PIF_TUNNEL_STILL_EXISTS"
    client.rpc("tunnel.destroy", tunnel)
    assert error("PIF.get_uuid", access)[0] == "HANDLE_INVALID"
