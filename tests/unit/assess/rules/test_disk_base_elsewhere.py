# SPDX-License-Identifier: Apache-2.0

RULE = "disk.base-elsewhere"


def test_speaks_of_a_linked_clone(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(files=("a-1.vmdk", "base.vmdk")),))) == [
        ("Disk 1 (scsi0:0)", "2 files, the base is base.vmdk.")
    ]


def test_is_silent_about_a_disk_of_its_own(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(files=("a.vmdk",)),))) == []


def test_is_silent_about_a_snapshot(make, speak):
    assert (
        speak(
            RULE,
            make.machine(
                disks=(make.disk(files=("a-1.vmdk", "a.vmdk")),), snapshots=(make.snapshot(id="1", name="a"),)
            ),
        )
        == []
    )


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
