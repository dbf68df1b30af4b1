# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import PowerState

RULE = "cpu.pool-total"


def test_speaks_of_too_many(make, speak):
    assert speak(RULE, make.machine(power_state=PowerState.ON, cpu=make.cpu(count=65)), pool=make.facts()) == [
        ("", "65 virtual processors of running machines for 16 threads.")
    ]


def test_is_silent_about_enough(make, speak):
    assert speak(RULE, make.machine(power_state=PowerState.ON, cpu=make.cpu(count=64)), pool=make.facts()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The hosts of the pool are not known."]
