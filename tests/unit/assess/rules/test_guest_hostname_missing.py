# SPDX-License-Identifier: Apache-2.0

RULE = "guest.hostname-missing"


def test_speaks_of_no_name(make, speak):
    assert speak(RULE, make.machine(), kind="vsphere") == [
        ("", "DNS, DHCP and directory entries cannot be compared after the move.")
    ]


def test_is_silent_about_a_name(make, speak):
    assert speak(RULE, make.machine(guest=make.guest(hostname="web.example.org")), kind="vsphere") == []


def test_is_silent_about_files(make, speak):
    assert speak(RULE, make.machine(), kind="ovf") == []
