# SPDX-License-Identifier: Apache-2.0

RULE = "machine.name-case"


def test_speaks_of_two_spellings(make, speak):
    assert speak(RULE, make.machine(name="Web"), make.machine(id="vm-2", name="web")) == [
        ("", "“Web” is one of them."),
        ("", "“web” is one of them."),
    ]


def test_is_silent_about_one_spelling(make, speak):
    assert speak(RULE, make.machine(name="Web"), make.machine(id="vm-2", name="Web")) == []
