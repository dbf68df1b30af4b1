# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "disk.too-large-for-vhd"


def test_speaks_of_a_byte_more_than_2040_gib(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=2040 * GIB + 1),))) == [
        ("Disk 1 (scsi0:0)", "2,041 GiB; a VHD ends at 2,040 GiB.")
    ]


def test_is_silent_about_exactly_2040_gib(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=2040 * GIB),))) == []


def test_is_silent_about_what_is_blocked_anyway(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=17000 * GIB),))) == []
