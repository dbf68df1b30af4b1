# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import PowerState
from v2x.model.units import GIB

RULE = "memory.pool-total"


def test_speaks_of_too_much(make, speak):
    assert speak(
        RULE, make.machine(power_state=PowerState.ON, memory=make.memory(size_bytes=100 * GIB)), pool=make.facts()
    ) == [("", "100 GiB for the machines that run now, 64 GiB free on all hosts.")]


def test_is_silent_about_enough(make, speak):
    assert speak(RULE, make.machine(power_state=PowerState.ON), pool=make.facts()) == []


def test_is_silent_about_machines_that_are_off(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=100 * GIB)), pool=make.facts()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The hosts of the pool are not known."]
