# SPDX-License-Identifier: Apache-2.0

RULE = "nic.disconnected"


def test_speaks_of_a_cable_that_is_out(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(connected=False),))) == [("Card 1", "On network “LAN”.")]


def test_is_silent_about_a_connected_card(make, speak):
    assert speak(RULE, make.machine()) == []
