# SPDX-License-Identifier: Apache-2.0

RULE = "machine.name-on-pool"


def test_speaks_of_a_name_in_use(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts(machine_names=("web", "router"))) == [
        ("", "The pool has a machine named “web”.")
    ]


def test_is_silent_about_a_name_that_is_free(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts(machine_names=("router",))) == []


def test_is_silent_about_no_pool_asked(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["No pool was asked."]
