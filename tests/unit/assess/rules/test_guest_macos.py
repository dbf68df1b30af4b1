# SPDX-License-Identifier: Apache-2.0

RULE = "guest.macos"


def test_speaks_of_macos(make, speak):
    assert speak(RULE, make.machine(guest=make.guest("darwin21_64Guest", "Apple macOS 12 (64-bit)"))) == [
        ("", "This is Apple macOS 12 (64-bit).")
    ]


def test_is_silent_about_linux(make, speak):
    assert speak(RULE, make.machine(guest=make.linux)) == []


def test_does_not_know_of_an_unknown_system(make, doubt):
    assert doubt(RULE, make.machine(guest=make.guest())) == ["The guest operating system is not known."]
