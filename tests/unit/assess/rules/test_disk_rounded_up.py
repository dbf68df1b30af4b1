# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB, TIB

RULE = "disk.rounded-up"


def test_speaks_of_an_odd_size(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=GIB + 512),))) == [
        ("Disk 1 (scsi0:0)", "1,073,742,336 bytes become 1,075,838,976.")
    ]


def test_is_silent_about_a_multiple_of_2_mib(make, speak):
    assert speak(RULE, make.machine()) == []


def test_is_silent_about_a_disk_that_becomes_qcow2(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=3 * TIB + 512),))) == []
