# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import TIB

RULE = "memory.no-memory-snapshot"


def test_speaks_of_more_than_1_5_tib(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=2 * TIB))) == [
        ("", "2 TiB of memory; 1.5 TiB is the most that a memory snapshot holds.")
    ]


def test_is_silent_about_exactly_1_5_tib(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=3 * TIB // 2))) == []


def test_is_silent_about_what_is_blocked_anyway(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=2 * TIB)), pool=make.facts(version="8.2.1")) == []
