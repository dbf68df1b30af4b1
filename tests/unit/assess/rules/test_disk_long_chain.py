# SPDX-License-Identifier: Apache-2.0

RULE = "disk.long-chain"


def test_speaks_of_eleven_layers(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(files=tuple("abcdefghijk")),))) == [
        ("Disk 1 (scsi0:0)", "11 layers.")
    ]


def test_is_silent_about_ten_layers(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(files=tuple("abcdefghij")),))) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
