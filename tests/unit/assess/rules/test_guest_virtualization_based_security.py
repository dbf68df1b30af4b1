# SPDX-License-Identifier: Apache-2.0

RULE = "guest.virtualization-based-security"


def test_speaks_of_a_machine_with_it(make, speak):
    assert speak(RULE, make.machine(virtualization_based_security=True)) == [("", "The machine was made for it.")]


def test_is_silent_about_a_machine_without(make, speak):
    assert speak(RULE, make.machine(guest=make.windows, virtualization_based_security=False)) == []


def test_is_silent_about_linux(make, speak):
    assert speak(RULE, make.machine(guest=make.linux)) == []


def test_does_not_know_of_windows_without_word_of_it(make, doubt):
    assert doubt(RULE, make.machine(guest=make.windows)) == [
        "Whether virtualisation-based security is on is not known."
    ]
