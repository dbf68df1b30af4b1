# SPDX-License-Identifier: Apache-2.0

RULE = "nic.vlans-total"


def test_speaks_of_too_many(make, speak):
    assert speak(RULE, *(make.machine(id=f"vm-{n}", nics=(make.nic(vlan=n),)) for n in range(1, 802))) == [
        ("", "801 VLANs; 800 are supported.")
    ]


def test_is_silent_about_few(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(vlan=5),))) == []
