# SPDX-License-Identifier: Apache-2.0

RULE = "nic.forged-transmits"


def test_speaks_of_a_network_that_has_it(make, speak):
    networks = (make.source_network(name="LAN", forged_transmits=True),)
    assert speak(RULE, make.machine(nics=(make.nic(network="LAN"),)), networks=networks) == [
        ("Card 1", "On network “LAN”.")
    ]


def test_an_adapters_own_setting_goes_before_its_networks(make, speak):
    networks = (make.source_network(name="LAN", forged_transmits=True),)
    assert speak(RULE, make.machine(nics=(make.nic(network="LAN", forged_transmits=False),)), networks=networks) == []
    assert len(speak(RULE, make.machine(nics=(make.nic(network="DMZ", forged_transmits=True),)))) == 1


def test_is_silent_about_other_networks(make, speak):
    networks = (make.source_network(name="LAN"), make.source_network(name="DMZ", forged_transmits=True))
    assert speak(RULE, make.machine(nics=(make.nic(network="LAN"),)), networks=networks) == []


def test_is_silent_about_a_source_that_tells_nothing(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(network="LAN"),))) == []


def test_does_not_know_from_files(make, doubt):
    assert doubt(RULE, make.machine(), kind="ovf") == [
        "The settings of port groups and switches are not in files and exports."
    ]
