# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "memory.dynamic-not-carried"


def test_speaks_of_a_range(make, speak):
    assert speak(
        RULE, make.machine(memory=make.memory(size_bytes=2 * GIB, dynamic_min_bytes=GIB, dynamic_max_bytes=8 * GIB))
    ) == [("", "1 GiB to 8 GiB at the source, 2 GiB after the move.")]


def test_counts_what_the_guest_asked_for(make, speak):
    busy = make.memory(size_bytes=GIB, dynamic_min_bytes=GIB, dynamic_max_bytes=8 * GIB, demand_bytes=3 * GIB)
    assert speak(RULE, make.machine(memory=busy)) == [("", "1 GiB to 8 GiB at the source, 3 GiB after the move.")]


def test_is_silent_about_a_fixed_size(make, speak):
    assert speak(RULE, make.machine()) == []


def test_is_silent_about_a_range_of_one_size(make, speak):
    assert (
        speak(RULE, make.machine(memory=make.memory(size_bytes=GIB, dynamic_min_bytes=GIB, dynamic_max_bytes=GIB)))
        == []
    )
