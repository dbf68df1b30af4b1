# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskBacking

RULE = "disk.size-invalid"


def test_speaks_of_a_size_of_zero(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=0),))) == [
        ("Disk 1 (scsi0:0)", "The source says 0 bytes.")
    ]


def test_speaks_of_a_negative_size(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=-512),))) == [
        ("Disk 1 (scsi0:0)", "The source says -512 bytes.")
    ]


def test_is_silent_about_a_missing_disk_that_another_rule_speaks_of(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=0, backing=DiskBacking.MISSING),))) == []


def test_is_silent_about_an_ordinary_disk(make, speak):
    assert speak(RULE, make.machine()) == []
