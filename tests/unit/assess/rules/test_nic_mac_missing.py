# SPDX-License-Identifier: Apache-2.0

RULE = "nic.mac-missing"


def test_speaks_of_a_card_without_an_address(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac=""),))) == [("Card 1", "A new address is made.")]


def test_is_silent_about_a_card_with_one(make, speak):
    assert speak(RULE, make.machine()) == []
