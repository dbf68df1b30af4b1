# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskFormat

RULE = "disk.sector-size"


def test_speaks_of_sectors_of_4096_bytes(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(logical_sector_bytes=4096),))) == [
        ("Disk 1 (scsi0:0)", "Logical sectors of 4096 bytes; XCP-ng presents 512.")
    ]


def test_is_silent_about_sectors_of_512_bytes(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(logical_sector_bytes=512),))) == []


def test_is_silent_about_nothing_said(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_of_a_vhdx_that_was_not_opened(make, doubt):
    unopened = make.machine(disks=(make.disk(format=DiskFormat.VHDX),))
    assert doubt(RULE, unopened) == ["The sector size of a VHDX or a raw device is not known."]
