# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "storage.no-room"


def test_is_silent_about_a_repository_that_does_not_tell_its_size(make, speak):
    assert (
        speak(
            RULE,
            make.machine(disks=(make.disk(capacity_bytes=7000 * GIB, allocated_bytes=6000 * GIB),)),
            pool=make.facts(storage=(make.sr(), make.sr(size_bytes=0))),
        )
        == []
    )


def test_speaks_of_two_machines_that_do_not_fit_together(make, speak):
    assert speak(
        RULE,
        make.machine(disks=(make.disk(capacity_bytes=700 * GIB, allocated_bytes=600 * GIB),)),
        make.machine(id="vm-2", disks=(make.disk(capacity_bytes=700 * GIB, allocated_bytes=600 * GIB),)),
        pool=make.facts(),
    ) == [("", "1.172 TiB of data to move, 1000 GiB free on all storage repositories together.")]


def test_is_silent_about_one_of_them(make, speak):
    assert (
        speak(
            RULE,
            make.machine(disks=(make.disk(capacity_bytes=700 * GIB, allocated_bytes=600 * GIB),)),
            pool=make.facts(),
        )
        == []
    )


def test_is_silent_about_data_that_the_source_does_not_tell(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=1500 * GIB),)), pool=make.facts()) == []


def test_is_silent_about_no_pool_asked(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=7000 * GIB, allocated_bytes=6000 * GIB),))) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The storage repositories of the pool are not known."]
