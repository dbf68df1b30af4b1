# SPDX-License-Identifier: Apache-2.0

RULE = "nic.network-not-on-pool"


def test_speaks_of_a_name_that_the_pool_lacks(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(network="DMZ"),)), pool=make.facts()) == [
        ("Card 1", "Network “DMZ”: the pool has no network of this name; it could be LAN.")
    ]


def test_speaks_of_no_name(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(network=""),)), pool=make.facts()) == [
        ("Card 1", "No network: the source does not say which network it is on; it could be LAN.")
    ]


def test_speaks_of_a_vlan_that_two_interfaces_could_carry(make, speak):
    wired = [
        make.network(uuid=device, name=device, devices={"h": device}, carrier=device) for device in ("eth0", "bond0")
    ]
    ((_, text),) = speak(RULE, make.machine(nics=(make.nic(network="P", vlan=7),)), pool=make.facts(networks=wired))
    assert "VLAN 7 could be on any of eth0, bond0" in text


def test_is_silent_about_the_same_name(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(network="LAN"),)), pool=make.facts()) == []


def test_is_silent_about_no_pool_asked(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(network="DMZ"),))) == []


def test_is_silent_about_xva_files(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(network="DMZ"),)), pool=make.xva) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The networks of the pool are not known."]
