# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskBus

RULE = "disk.too-many"


def test_speaks_of_one_more_than_possible_with_the_cd_drive(make, speak):
    assert speak(
        RULE,
        make.machine(
            disks=tuple(make.disk(n) for n in range(255)), cd_drives=(make.drive(position=0, bus=DiskBus.IDE),)
        ),
    ) == [("", "256 disks and drives; at most 255 are possible.")]


def test_is_silent_about_as_many_as_possible(make, speak):
    assert speak(RULE, make.machine(disks=tuple(make.disk(n) for n in range(255)))) == []
