# SPDX-License-Identifier: Apache-2.0

RULE = "inventory.empty"


def test_speaks_of_no_machines(make, speak):
    assert speak(RULE) == [("", "There is nothing to assess.")]


def test_is_silent_about_one_machine(make, speak):
    assert speak(RULE, make.machine()) == []
