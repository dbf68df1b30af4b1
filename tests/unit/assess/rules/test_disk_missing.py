# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskBacking

RULE = "disk.missing"


def test_speaks_of_a_file_that_is_not_there(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(backing=DiskBacking.MISSING, files=("web-1.vmdk",)),))) == [
        ("Disk 1 (scsi0:0)", "web-1.vmdk is not there.")
    ]


def test_speaks_of_a_disk_without_a_file_name(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(backing=DiskBacking.MISSING),))) == [
        ("Disk 1 (scsi0:0)", "The file it names is not there.")
    ]


def test_is_silent_about_an_ordinary_disk(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
