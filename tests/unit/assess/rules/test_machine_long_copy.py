# SPDX-License-Identifier: Apache-2.0

from v2x.model.units import TIB

RULE = "machine.long-copy"


def test_speaks_of_three_tebibytes(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(capacity_bytes=3 * TIB),))) == [
        ("", "Some 12 hours, at 75 MiB/s.")
    ]


def test_is_silent_about_ten_gibibytes(make, speak):
    assert speak(RULE, make.machine()) == []
