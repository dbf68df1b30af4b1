# SPDX-License-Identifier: Apache-2.0

RULE = "disk.io-filters"


def test_speaks_of_a_filter(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(io_filters=("VMW_spm_1.0.0",)),)), kind="vsphere") == [
        ("Disk 1 (scsi0:0)", "VMW_spm_1.0.0.")
    ]


def test_is_silent_about_none(make, speak):
    assert speak(RULE, make.machine(), kind="vsphere") == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
