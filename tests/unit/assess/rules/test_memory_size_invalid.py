# SPDX-License-Identifier: Apache-2.0

RULE = "memory.size-invalid"


def test_speaks_of_no_memory(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=0))) == [("", "The source says 0 bytes.")]


def test_is_silent_about_some_memory(make, speak):
    assert speak(RULE, make.machine()) == []
