# SPDX-License-Identifier: Apache-2.0

RULE = "guest.unsupported-system"


def test_speaks_of_netware(make, speak):
    assert speak(RULE, make.machine(guest=make.guest("netware6Guest", "Novell NetWare 6.x"))) == [
        ("", "This is Novell NetWare 6.x.")
    ]


def test_is_silent_about_linux(make, speak):
    assert speak(RULE, make.machine(guest=make.linux)) == []


def test_does_not_know_of_an_unknown_system(make, doubt):
    assert doubt(RULE, make.machine(guest=make.guest())) == ["The guest operating system is not known."]
