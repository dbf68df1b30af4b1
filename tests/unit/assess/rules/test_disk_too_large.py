# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import GIB

RULE = "disk.too-large"


def test_speaks_of_a_byte_more_than_16381_gib(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=16381 * GIB + 1),))) == [
        ("Disk 1 (scsi0:0)", "16,382 GiB; at most 16,381 GiB are possible.")
    ]


def test_is_silent_about_exactly_16381_gib(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=16381 * GIB),))) == []
