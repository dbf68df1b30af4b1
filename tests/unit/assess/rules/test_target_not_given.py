# SPDX-License-Identifier: Apache-2.0

RULE = "target.not-given"


def test_speaks_of_no_pool(make, speak):
    assert speak(RULE, make.machine()) == [("", "Everything that depends on the pool is unknown.")]


def test_is_silent_about_a_pool(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []
