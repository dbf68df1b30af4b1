# SPDX-License-Identifier: Apache-2.0

RULE = "nic.mac-invalid"


def test_speaks_of_words(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac="not an address"),))) == [
        ("Card 1", "“not an address” is not a MAC address; a new address is made.")
    ]


def test_speaks_of_zeros(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac="00:00:00:00:00:00"),))) == [
        ("Card 1", "“00:00:00:00:00:00” is all zeros; a new address is made.")
    ]


def test_speaks_of_five_bytes(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac="00:50:56:01:02"),))) == [
        ("Card 1", "“00:50:56:01:02” is not a MAC address; a new address is made.")
    ]


def test_speaks_of_an_address_of_a_group(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac="01:00:5e:00:00:01"),))) == [
        ("Card 1", "“01:00:5e:00:00:01” is a multicast address; a new address is made.")
    ]


def test_is_silent_about_a_locally_administered_address(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac="02:00:00:00:00:01"),))) == []


def test_is_silent_about_an_address_without_colons(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac="00155D012345"),))) == []


def test_is_silent_about_an_address(make, speak):
    assert speak(RULE, make.machine()) == []


def test_is_silent_about_no_address(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac=""),))) == []
