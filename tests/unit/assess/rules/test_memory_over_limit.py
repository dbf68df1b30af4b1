# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import TIB

RULE = "memory.over-limit"


def test_speaks_of_more_than_8_tib(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=9 * TIB))) == [
        ("", "9 TiB of memory; at most 8 TiB are possible.")
    ]


def test_speaks_of_more_than_1_5_tib_on_version_8_2(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=2 * TIB)), pool=make.facts(version="8.2.1")) == [
        ("", "2 TiB of memory; at most 1.5 TiB are possible.")
    ]


def test_is_silent_about_exactly_8_tib(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=8 * TIB))) == []


def test_does_not_know_without_the_release_of_a_pool(make, doubt):
    assert doubt(RULE, make.machine(memory=make.memory(size_bytes=2 * TIB))) == [
        "It depends on the release of the pool, which is not known."
    ]
    assert doubt(RULE, make.machine(memory=make.memory(size_bytes=2 * TIB)), pool=make.facts()) == []
