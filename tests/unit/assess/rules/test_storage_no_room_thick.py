# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "storage.no-room-thick"


def test_speaks_of_a_small_lvm(make, speak):
    assert speak(
        RULE,
        make.machine(disks=(make.disk(capacity_bytes=2000 * GIB, allocated_bytes=GIB),)),
        pool=make.facts(storage=(make.sr(thin=False),)),
    ) == [("", "Disks of 1.953 TiB in all, 1000 GiB free.")]


def test_is_silent_about_room(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts(storage=(make.sr(thin=False),))) == []


def test_is_silent_about_thin_storage(make, speak):
    assert (
        speak(RULE, make.machine(disks=(make.disk(capacity_bytes=2000 * GIB, allocated_bytes=GIB),)), pool=make.facts())
        == []
    )


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The storage repositories of the pool are not known."]
