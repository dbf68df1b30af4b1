# SPDX-License-Identifier: Apache-2.0

RULE = "nic.no-network"


def test_speaks_of_a_card_without(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(network=""),))) == [("Card 1", "It goes to no network by itself.")]


def test_is_silent_about_a_card_on_a_network(make, speak):
    assert speak(RULE, make.machine()) == []
