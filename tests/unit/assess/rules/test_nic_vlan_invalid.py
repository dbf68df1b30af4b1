# SPDX-License-Identifier: Apache-2.0

RULE = "nic.vlan-invalid"


def test_speaks_of_a_tag_of_5000(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(vlan=5000),))) == [("Card 1", "VLAN 5000 of network “LAN”.")]


def test_is_silent_about_a_tag_of_20(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(vlan=20),))) == []


def test_is_silent_about_no_tag(make, speak):
    assert speak(RULE, make.machine()) == []
