# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import TIB

RULE = "disk.too-large-for-xva"


def test_speaks_of_more_than_a_vhd_in_an_xva(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=3 * TIB),)), pool=make.xva) == [
        ("Disk 1 (scsi0:0)", "3,072 GiB; an XVA carries 2,040 GiB at most.")
    ]


def test_is_silent_about_the_same_disk_on_a_pool(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=3 * TIB),)), pool=make.facts()) == []


def test_is_silent_about_a_disk_that_fits(make, speak):
    assert speak(RULE, make.machine(), pool=make.xva) == []
