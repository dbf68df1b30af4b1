# SPDX-License-Identifier: Apache-2.0

RULE = "disk.read-only"


def test_speaks_of_a_read_only_disk(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(read_only=True),))) == [
        ("Disk 1 (scsi0:0)", "The guest cannot write to it now.")
    ]


def test_is_silent_about_an_ordinary_disk(make, speak):
    assert speak(RULE, make.machine()) == []
