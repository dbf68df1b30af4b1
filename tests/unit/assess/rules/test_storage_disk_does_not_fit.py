# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "storage.disk-does-not-fit"


def test_speaks_of_data_larger_than_any_free_space(make, speak):
    assert speak(
        RULE, make.machine(disks=(make.disk(capacity_bytes=2000 * GIB, allocated_bytes=1500 * GIB),)), pool=make.facts()
    ) == [("Disk 1 (scsi0:0)", "1.953 TiB with 1.465 TiB of data; 1000 GiB is the most that one repository has free.")]


def test_speaks_of_a_thick_repository(make, speak):
    assert speak(
        RULE,
        make.machine(disks=(make.disk(capacity_bytes=2000 * GIB, allocated_bytes=GIB),)),
        pool=make.facts(storage=(make.sr(kind="lvm", thin=False),)),
    ) == [("Disk 1 (scsi0:0)", "1.953 TiB with 1 GiB of data; 1000 GiB is the most that one repository has free.")]


def test_is_silent_about_a_thin_repository(make, speak):
    assert (
        speak(RULE, make.machine(disks=(make.disk(capacity_bytes=2000 * GIB, allocated_bytes=GIB),)), pool=make.facts())
        == []
    )


def test_is_silent_about_data_that_the_source_does_not_tell(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=2000 * GIB),)), pool=make.facts()) == []


def test_is_silent_about_room_on_one_of_two(make, speak):
    assert (
        speak(
            RULE,
            make.machine(disks=(make.disk(allocated_bytes=5 * GIB),)),
            pool=make.facts(storage=(make.sr(used_bytes=1000 * GIB), make.sr(uuid="sr-2"))),
        )
        == []
    )


def test_is_silent_about_a_repository_that_does_not_tell_its_size(make, speak):
    assert (
        speak(
            RULE,
            make.machine(disks=(make.disk(allocated_bytes=5 * GIB),)),
            pool=make.facts(storage=(make.sr(size_bytes=-1),)),
        )
        == []
    )


def test_is_silent_about_an_iso_repository_that_is_full(make, speak):
    assert (
        speak(RULE, make.machine(), pool=make.facts(storage=(make.sr(), make.sr(content_type="iso", size_bytes=0))))
        == []
    )


def test_is_silent_about_no_pool_asked(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=2000 * GIB, allocated_bytes=1500 * GIB),))) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The storage repositories of the pool are not known."]
