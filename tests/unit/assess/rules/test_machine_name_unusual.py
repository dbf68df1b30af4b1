# SPDX-License-Identifier: Apache-2.0

RULE = "machine.name-unusual"


def test_speaks_of_no_name(make, speak):
    assert speak(RULE, make.machine(name="")) == [("", "The name is empty.")]


def test_speaks_of_a_space_at_the_end(make, speak):
    assert speak(RULE, make.machine(name="web ")) == [("", "The name is “web ”.")]


def test_speaks_of_a_control_character(make, speak):
    assert speak(RULE, make.machine(name="web\x1b[2J")) == [("", "The name is “web\x1b[2J”.")]


def test_speaks_of_a_bidirectional_override(make, speak):
    assert speak(RULE, make.machine(name="web\u202egnp.exe")) == [("", "The name is “web\u202egnp.exe”.")]


def test_is_silent_about_letters_of_any_language(make, speak):
    assert speak(RULE, make.machine(name="Zeiterfassung Ä 服务器")) == []


def test_is_silent_about_a_long_name(make, speak):
    assert speak(RULE, make.machine(name="n" * 500)) == []
