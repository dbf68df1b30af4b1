# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskBus

RULE = "cd.image-not-moved"


def test_speaks_of_an_image_in_the_drive(make, speak):
    assert speak(RULE, make.machine(cd_drives=(make.drive(position=0, bus=DiskBus.IDE, image="tools.iso"),))) == [
        ("CD drive 1", "tools.iso is in the drive.")
    ]


def test_is_silent_about_an_empty_drive(make, speak):
    assert speak(RULE, make.machine(cd_drives=(make.drive(position=0, bus=DiskBus.IDE),))) == []
