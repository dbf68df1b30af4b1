# SPDX-License-Identifier: Apache-2.0

RULE = "target.no-template"


def test_speaks_of_none(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts(templates=())) == [("", "It lists none.")]


def test_is_silent_about_some(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["No pool was asked."]
