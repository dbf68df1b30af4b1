# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "memory.startup-below-demand"


def test_speaks_of_a_low_start(make, speak):
    assert speak(
        RULE, make.machine(memory=make.memory(size_bytes=GIB, dynamic_max_bytes=8 * GIB, demand_bytes=3 * GIB))
    ) == [("", "1 GiB at start, 3 GiB in use when seen.")]


def test_is_silent_about_enough(make, speak):
    assert (
        speak(
            RULE, make.machine(memory=make.memory(size_bytes=4 * GIB, dynamic_max_bytes=8 * GIB, demand_bytes=3 * GIB))
        )
        == []
    )


def test_is_silent_about_fixed_memory(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_of_a_machine_that_was_off(make, doubt):
    assert doubt(RULE, make.machine(memory=make.memory(size_bytes=GIB, dynamic_max_bytes=8 * GIB))) == [
        "The source does not tell how much of its dynamic memory the guest uses."
    ]
