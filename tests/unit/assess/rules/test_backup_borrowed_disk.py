# SPDX-License-Identifier: Apache-2.0

RULE = "backup.borrowed-disk"


def test_speaks_of_a_lent_disk(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(lent_by="vm-2"),)), make.machine(id="vm-2", name="db")) == [
        ("Disk 1 (scsi0:0)", "It belongs to “db”.")
    ]


def test_is_silent_about_a_disk_of_its_own(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
