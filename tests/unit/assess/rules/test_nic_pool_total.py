# SPDX-License-Identifier: Apache-2.0

RULE = "nic.pool-total"


def test_speaks_of_too_many(make, speak):
    assert speak(
        RULE, *(make.machine(id=f"vm-{n}", nics=(make.nic(), make.nic(1))) for n in range(257)), pool=make.facts()
    ) == [("", "514 network cards; at most 512 on 1 host.")]


def test_is_silent_about_few(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The hosts of the pool are not known."]
