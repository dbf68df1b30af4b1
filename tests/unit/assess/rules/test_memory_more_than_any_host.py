# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "memory.more-than-any-host"


def test_speaks_of_more_than_the_largest_host(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=256 * GIB)), pool=make.facts()) == [
        ("", "256 GiB of memory; the largest enabled host has 128 GiB.")
    ]


def test_is_silent_about_as_much_as_the_largest_host(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=128 * GIB)), pool=make.facts()) == []


def test_is_silent_about_no_pool_asked(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=256 * GIB))) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The hosts of the pool are not known."]
