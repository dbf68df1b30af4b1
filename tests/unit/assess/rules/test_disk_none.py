# SPDX-License-Identifier: Apache-2.0

RULE = "disk.none"


def test_speaks_of_no_disks(make, speak):
    assert speak(RULE, make.machine(disks=())) == [("", "The source lists no disk.")]


def test_is_silent_about_one_disk(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_where_an_export_has_only_the_sum(make, doubt):
    summed = make.machine(disks=(), attributes={"rvtools.total_disk_capacity_mib": "40960"})
    assert doubt(RULE, summed, kind="rvtools") == ["The export has a machine with disks, but not which."]
