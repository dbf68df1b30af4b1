# SPDX-License-Identifier: Apache-2.0

RULE = "machine.name-twice"


def test_speaks_of_two_machines_with_one_name(make, speak):
    assert speak(RULE, make.machine(nics=()), make.machine(id="vm-2", nics=())) == [
        ("", "2 machines are named “web”; this one has the id vm-1."),
        ("", "2 machines are named “web”; this one has the id vm-2."),
    ]


def test_is_silent_about_two_names(make, speak):
    assert speak(RULE, make.machine(), make.machine(id="vm-2", name="db")) == []
