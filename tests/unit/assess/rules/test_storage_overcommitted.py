# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "storage.overcommitted"


def test_is_silent_about_a_repository_that_does_not_tell_its_size(make, speak):
    assert (
        speak(
            RULE,
            make.machine(disks=(make.disk(capacity_bytes=7000 * GIB, allocated_bytes=6000 * GIB),)),
            pool=make.facts(storage=(make.sr(), make.sr(size_bytes=0))),
        )
        == []
    )


def test_speaks_of_thin_disks_that_may_grow(make, speak):
    assert speak(
        RULE, make.machine(disks=(make.disk(capacity_bytes=1500 * GIB, allocated_bytes=GIB),)), pool=make.facts()
    ) == [("", "Disks of 1.465 TiB in all, 1000 GiB free on all storage repositories together.")]


def test_speaks_of_data_that_the_source_does_not_tell(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=1500 * GIB),)), pool=make.facts()) == [
        ("", "Disks of 1.465 TiB in all, 1000 GiB free on all storage repositories together.")
    ]


def test_is_silent_about_room_for_all(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []


def test_is_silent_about_what_is_blocked_anyway(make, speak):
    assert (
        speak(
            RULE,
            make.machine(disks=(make.disk(capacity_bytes=1500 * GIB, allocated_bytes=1200 * GIB),)),
            pool=make.facts(),
        )
        == []
    )


def test_is_silent_about_no_pool_asked(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=1500 * GIB),))) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The storage repositories of the pool are not known."]
