# SPDX-License-Identifier: Apache-2.0

RULE = "guest.hypervisor"


def test_speaks_of_esxi(make, speak):
    assert speak(RULE, make.machine(guest=make.guest("vmkernel7Guest", "VMware ESXi 7.x"))) == [
        ("", "This is VMware ESXi 7.x.")
    ]


def test_is_silent_about_linux(make, speak):
    assert speak(RULE, make.machine(guest=make.linux)) == []


def test_does_not_know_of_an_unknown_system(make, doubt):
    assert doubt(RULE, make.machine(guest=make.guest())) == ["The guest operating system is not known."]
