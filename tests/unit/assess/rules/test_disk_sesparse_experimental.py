# SPDX-License-Identifier: Apache-2.0

RULE = "disk.sesparse-experimental"


def test_speaks_of_a_snapshot_on_vmfs_6(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(subformat="seSparse"),))) == [
        ("Disk 1 (scsi0:0)", "Its newest changes are in a seSparse file.")
    ]


def test_is_silent_about_an_older_snapshot(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(subformat="vmfsSparse"),))) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
