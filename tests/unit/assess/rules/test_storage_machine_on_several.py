# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "storage.machine-on-several"


def test_speaks_of_two_large_disks(make, speak):
    assert speak(
        RULE,
        make.machine(disks=(make.disk(capacity_bytes=600 * GIB), make.disk(1, capacity_bytes=600 * GIB))),
        pool=make.facts(),
    ) == [("", "1.172 TiB of data in 1.172 TiB; 1000 GiB is the most that one has free.")]


def test_is_silent_about_two_small_disks(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(), make.disk(1))), pool=make.facts()) == []


def test_is_silent_about_one_disk(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=1200 * GIB),)), pool=make.facts()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The storage repositories of the pool are not known."]
