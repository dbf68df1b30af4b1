# SPDX-License-Identifier: Apache-2.0

RULE = "identity.domain-controller"


def test_speaks_of_a_name(make, speak):
    assert speak(RULE, make.machine(name="BER-DC01", guest=make.windows)) == [("", "Its name, notes or tags say so.")]


def test_speaks_of_a_note(make, speak):
    assert speak(RULE, make.machine(guest=make.windows, notes="Second domain controller")) == [
        ("", "Its name, notes or tags say so.")
    ]


def test_is_silent_about_linux(make, speak):
    assert speak(RULE, make.machine(name="dc01", guest=make.linux)) == []


def test_is_silent_about_a_client(make, speak):
    assert speak(RULE, make.machine(guest=make.client)) == []


def test_does_not_know_of_another_windows_server(make, doubt):
    assert doubt(RULE, make.machine(guest=make.windows)) == [
        "Whether a Windows server is a domain controller is not known."
    ]
