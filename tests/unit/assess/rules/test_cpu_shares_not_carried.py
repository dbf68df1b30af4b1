# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "cpu.shares-not-carried"


def test_speaks_of_shares_of_memory(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=GIB, shares=20480))) == [
        ("", "Left out: 20,480 of memory.")
    ]


def test_speaks_of_shares_on_an_unknown_scale(make, speak):
    assert speak(RULE, make.machine(guest=make.guest(), cpu=make.cpu(count=2, shares=4000))) == [
        ("", "Left out: 4,000 of the processors, of a scale that is not known.")
    ]


def test_is_silent_about_processor_shares_that_become_a_weight(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=2, shares=4000))) == []


def test_is_silent_about_normal_shares_of_memory(make, speak):
    assert speak(RULE, make.machine(memory=make.memory(size_bytes=GIB, shares=10240))) == []
