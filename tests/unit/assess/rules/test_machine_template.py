# SPDX-License-Identifier: Apache-2.0

RULE = "machine.template"


def test_speaks_of_a_template(make, speak):
    assert speak(RULE, make.machine(is_template=True)) == [("", "The source marks it as a template.")]


def test_is_silent_about_a_machine(make, speak):
    assert speak(RULE, make.machine()) == []
