# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "memory.more-than-free"


def test_speaks_of_hosts_that_are_full(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=100 * GIB)), pool=make.facts()) == [
        ("", "100 GiB of memory; 64 GiB is the most that one host has free.")
    ]


def test_is_silent_about_a_host_with_room(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=64 * GIB)), pool=make.facts()) == []


def test_is_silent_about_what_is_blocked_anyway(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=256 * GIB)), pool=make.facts()) == []


def test_is_silent_about_no_pool_asked(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=100 * GIB))) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The hosts of the pool are not known."]
