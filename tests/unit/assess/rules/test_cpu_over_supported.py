# SPDX-License-Identifier: Apache-2.0

RULE = "cpu.over-supported"


def test_speaks_of_more_than_32(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=33))) == [
        ("", "33 virtual processors; 32 are supported for guests that are not trusted.")
    ]


def test_is_silent_about_exactly_32(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=32))) == []


def test_is_silent_about_what_is_blocked_anyway(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=129))) == []
