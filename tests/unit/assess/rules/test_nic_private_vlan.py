# SPDX-License-Identifier: Apache-2.0

RULE = "nic.private-vlan"


def test_speaks_of_a_network_that_has_it(make, speak):
    networks = (make.source_network(name="LAN", private_vlan="isolated 101/1101"),)
    assert speak(RULE, make.machine(nics=(make.nic(network="LAN"),)), networks=networks) == [
        ("Card 1", "Network “LAN”: isolated 101/1101.")
    ]


def test_speaks_of_a_card_that_has_it_itself(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(private_vlan="isolated 10/11"),)), kind="hyperv") == [
        ("Card 1", "Network “LAN”: isolated 10/11.")
    ]


def test_is_silent_about_other_networks(make, speak):
    networks = (make.source_network(name="LAN"), make.source_network(name="DMZ", private_vlan="isolated 101/1101"))
    assert speak(RULE, make.machine(nics=(make.nic(network="LAN"),)), networks=networks) == []


def test_is_silent_about_a_source_that_tells_nothing(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(network="LAN"),))) == []


def test_does_not_know_from_files(make, doubt):
    assert doubt(RULE, make.machine(), kind="ovf") == [
        "The settings of port groups and switches are not in files and exports."
    ]
