# SPDX-License-Identifier: Apache-2.0

RULE = "nic.mac-spoofing"


def test_speaks_of_spoofing(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac_spoofing=True),)), kind="hyperv") == [
        ("Card 1", "On network “LAN”.")
    ]


def test_is_silent_about_none(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac_spoofing=False),)), kind="hyperv") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(), kind="hyperv") == [
        "The source does not tell whether guests may change MAC addresses."
    ]
