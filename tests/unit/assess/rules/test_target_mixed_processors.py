# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "target.mixed-processors"


def test_speaks_of_a_small_and_a_large_one(make, speak):
    assert speak(
        RULE, make.machine(), pool=make.facts(hosts=(make.host(), make.host(uuid="h2", memory_total_bytes=512 * GIB)))
    ) == [("", "128 GiB to 512 GiB of memory.")]


def test_is_silent_about_two_alike(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts(hosts=(make.host(), make.host(uuid="h2")))) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The hosts of the pool are not known."]
