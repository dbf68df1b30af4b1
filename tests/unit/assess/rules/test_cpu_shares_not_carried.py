# SPDX-License-Identifier: Apache-2.0

RULE = "cpu.shares-not-carried"


def test_speaks_of_high_shares(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=2, shares=4000))) == [("", "processors 4,000.")]


def test_is_silent_about_normal_shares(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=2, shares=2000))) == []


def test_is_silent_about_none(make, speak):
    assert speak(RULE, make.machine()) == []
