# SPDX-License-Identifier: Apache-2.0

RULE = "nic.mac-twice"


def test_speaks_of_two_machines_with_one_address(make, speak):
    assert speak(RULE, make.machine(), make.machine(id="vm-2", name="db")) == [
        ("Card 1", "00:50:56:00:00:00 is also on “web”."),
        ("Card 1", "00:50:56:00:00:00 is also on “db”."),
    ]


def test_speaks_of_two_cards_of_one_machine(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(0), make.nic(1, mac="00:50:56:00:00:00")))) == [
        ("Card 1", "00:50:56:00:00:00 is also on “web”."),
        ("Card 2", "00:50:56:00:00:00 is also on “web”."),
    ]


def test_is_silent_about_two_addresses(make, speak):
    assert speak(RULE, make.machine(), make.machine(id="vm-2", name="db", nics=(make.nic(1),))) == []


def test_is_silent_about_two_cards_without_addresses(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(0, mac=""), make.nic(1, mac="")))) == []
