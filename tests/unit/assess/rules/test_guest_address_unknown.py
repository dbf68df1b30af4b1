# SPDX-License-Identifier: Apache-2.0

RULE = "guest.address-unknown"


def test_speaks_of_no_address(make, speak):
    assert speak(RULE, make.machine(), kind="vsphere") == [("", "1 network card, and no address.")]


def test_is_silent_about_an_address(make, speak):
    assert speak(RULE, make.machine(guest=make.guest(ip_addresses=("192.0.2.5",))), kind="vsphere") == []


def test_is_silent_about_no_card(make, speak):
    assert speak(RULE, make.machine(nics=()), kind="vsphere") == []


def test_is_silent_about_files(make, speak):
    assert speak(RULE, make.machine(), kind="ovf") == []
