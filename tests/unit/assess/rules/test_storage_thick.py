# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "storage.thick"


def test_speaks_of_lvm(make, speak):
    assert speak(
        RULE, make.machine(disks=(make.disk(allocated_bytes=GIB),)), pool=make.facts(storage=(make.sr(thin=False),))
    ) == [("", "10 GiB are taken for 1 GiB of data.")]


def test_is_silent_about_ext(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The storage repositories of the pool are not known."]
