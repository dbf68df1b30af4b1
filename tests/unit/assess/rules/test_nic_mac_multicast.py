# SPDX-License-Identifier: Apache-2.0

RULE = "nic.mac-multicast"


def test_speaks_of_an_address_of_a_group(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac="01:00:5e:00:00:01"),))) == [
        ("Card 1", "The source says 01:00:5e:00:00:01.")
    ]


def test_is_silent_about_an_address_of_a_card(make, speak):
    assert speak(RULE, make.machine()) == []


def test_is_silent_about_a_locally_administered_address(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac="02:00:00:00:00:01"),))) == []


def test_is_silent_about_words(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac="not an address"),))) == []
