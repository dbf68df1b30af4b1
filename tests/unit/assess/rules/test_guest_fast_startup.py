# SPDX-License-Identifier: Apache-2.0

RULE = "guest.fast-startup"


def test_speaks_of_a_client(make, speak):
    assert speak(RULE, make.machine(guest=make.client)) == [("", "Microsoft Windows 10 (64-bit) does so by default.")]


def test_is_silent_about_a_server(make, speak):
    assert speak(RULE, make.machine(guest=make.windows)) == []


def test_is_silent_about_linux(make, speak):
    assert speak(RULE, make.machine(guest=make.linux)) == []


def test_does_not_know_of_an_unknown_system(make, doubt):
    assert doubt(RULE, make.machine(guest=make.guest())) == ["The guest operating system is not known."]
