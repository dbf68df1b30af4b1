# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskBus

RULE = "cd.more-than-one"


def test_speaks_of_two_drives(make, speak):
    assert speak(RULE, make.machine(cd_drives=tuple(make.drive(position=n, bus=DiskBus.IDE) for n in range(2)))) == [
        ("", "2 CD drives at the source.")
    ]


def test_is_silent_about_one_drive(make, speak):
    assert speak(RULE, make.machine(cd_drives=(make.drive(position=0, bus=DiskBus.IDE),))) == []
