# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import TIB

RULE = "disk.copy-over-task-limit"


def test_speaks_of_four_tebibytes(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=4 * TIB),))) == [
        ("Disk 1 (scsi0:0)", "Some 16 hours, at 75 MiB/s.")
    ]


def test_is_silent_about_two_tebibytes(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=2 * TIB),))) == []
