# SPDX-License-Identifier: Apache-2.0

RULE = "nic.mac-dynamic"


def test_speaks_of_a_dynamic_address(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac_is_static=False),)), kind="hyperv") == [
        ("Card 1", "00:50:56:00:00:00.")
    ]


def test_is_silent_about_a_static_address(make, speak):
    assert speak(RULE, make.machine(), kind="hyperv") == []


def test_is_silent_about_an_address_that_vcenter_assigned(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac_is_static=False),)), kind="vsphere") == []


def test_is_silent_about_files(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac_is_static=False),))) == []
