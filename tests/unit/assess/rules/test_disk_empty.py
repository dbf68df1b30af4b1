# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskBacking

RULE = "disk.empty"


def test_speaks_of_a_blank_disk(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(backing=DiskBacking.EMPTY),))) == [
        ("Disk 1 (scsi0:0)", "10 GiB, blank.")
    ]


def test_is_silent_about_an_ordinary_disk(make, speak):
    assert speak(RULE, make.machine()) == []
