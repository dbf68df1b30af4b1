# SPDX-License-Identifier: Apache-2.0

RULE = "disk.iops-limit"


def test_speaks_of_a_limit(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(iops_limit=500),))) == [
        ("Disk 1 (scsi0:0)", "500 operations per second.")
    ]


def test_is_silent_about_none(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
