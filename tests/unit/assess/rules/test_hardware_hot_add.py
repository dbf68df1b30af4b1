# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "hardware.hot-add"


def test_speaks_of_processors_and_memory(make, speak):
    assert speak(
        RULE, make.machine(cpu=make.cpu(count=2, hot_add=True), memory=make.memory(size_bytes=GIB, hot_add=True))
    ) == [("", "Hot-add is on for processors and memory.")]


def test_speaks_of_memory_only(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=GIB, hot_add=True))) == [
        ("", "Hot-add is on for memory.")
    ]


def test_is_silent_about_neither(make, speak):
    assert speak(RULE, make.machine()) == []
