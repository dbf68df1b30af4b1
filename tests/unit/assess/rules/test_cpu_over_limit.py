# SPDX-License-Identifier: Apache-2.0

RULE = "cpu.over-limit"


def test_speaks_of_more_than_128(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=129))) == [
        ("", "129 virtual processors; at most 128 are possible.")
    ]


def test_speaks_of_more_than_32_on_version_8_2(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=33)), pool=make.facts(version="8.2.1")) == [
        ("", "33 virtual processors; at most 32 are possible.")
    ]


def test_is_silent_about_exactly_128(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=128))) == []


def test_is_silent_about_exactly_32_on_version_8_2(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=32)), pool=make.facts(version="8.2.1")) == []


def test_does_not_know_without_the_release_of_a_pool(make, doubt):
    assert doubt(RULE, make.machine(cpu=make.cpu(count=33))) == [
        "It depends on the release of the pool, which is not known."
    ]
    assert doubt(RULE, make.machine(cpu=make.cpu(count=32))) == []
    assert doubt(RULE, make.machine(cpu=make.cpu(count=33)), pool=make.facts()) == []
