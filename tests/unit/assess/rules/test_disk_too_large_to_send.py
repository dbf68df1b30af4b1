# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB, TIB

RULE = "disk.too-large-to-send"


def test_speaks_of_a_byte_more_than_4_tib(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=4 * TIB + 1),))) == [
        ("Disk 1 (scsi0:0)", "4,097 GiB; a QCOW2 image of at most 4,096 GiB can be sent.")
    ]


def test_is_silent_about_exactly_4_tib(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=4 * TIB),))) == []


def test_is_silent_about_what_is_blocked_anyway(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=17000 * GIB),))) == []
