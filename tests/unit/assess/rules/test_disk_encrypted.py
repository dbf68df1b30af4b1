# SPDX-License-Identifier: Apache-2.0

RULE = "disk.encrypted"


def test_speaks_of_an_encrypted_disk(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(), make.disk(1, encrypted=True)))) == [
        ("Disk 2 (scsi0:1)", "Its content cannot be read from outside.")
    ]


def test_is_silent_about_an_ordinary_disk(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
