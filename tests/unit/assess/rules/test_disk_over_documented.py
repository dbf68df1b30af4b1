# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskBus

RULE = "disk.over-documented"


def test_speaks_of_more_than_241(make, speak):
    assert speak(RULE, make.machine(disks=tuple(make.disk(n) for n in range(242)))) == [
        ("", "242 disks and drives; 241 are supported.")
    ]


def test_is_silent_about_exactly_241_with_the_cd_drive(make, speak):
    assert (
        speak(
            RULE,
            make.machine(
                disks=tuple(make.disk(n) for n in range(240)), cd_drives=(make.drive(position=0, bus=DiskBus.IDE),)
            ),
        )
        == []
    )


def test_is_silent_about_what_is_blocked_anyway(make, speak):
    assert speak(RULE, make.machine(disks=tuple(make.disk(n) for n in range(256)))) == []
