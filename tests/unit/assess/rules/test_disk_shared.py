# SPDX-License-Identifier: Apache-2.0

RULE = "disk.shared"


def test_speaks_of_a_disk_with_several_writers(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(shared=True),))) == [
        ("Disk 1 (scsi0:0)", "Several machines may write to it at the source.")
    ]


def test_is_silent_about_an_ordinary_disk(make, speak):
    assert speak(RULE, make.machine()) == []
