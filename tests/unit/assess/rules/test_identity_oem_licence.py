# SPDX-License-Identifier: Apache-2.0

RULE = "identity.oem-licence"


def test_speaks_of_a_note(make, speak):
    assert speak(RULE, make.machine(guest=make.windows, notes="Windows OEM, Dell")) == [
        ("", "Its notes, tags or system name speak of OEM.")
    ]


def test_is_silent_about_linux(make, speak):
    assert speak(RULE, make.machine(guest=make.linux, notes="OEM")) == []


def test_does_not_know_of_windows_without_word_of_it(make, doubt):
    assert doubt(RULE, make.machine(guest=make.windows)) == ["How Windows was activated is not known."]
