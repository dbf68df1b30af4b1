# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import Other

RULE = "disk.unknown-backing"


def test_speaks_of_a_word_of_the_source(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(backing=Other("persistent memory")),))) == [
        ("Disk 1 (scsi0:0)", "The source calls it “persistent memory”.")
    ]


def test_is_silent_about_an_ordinary_disk(make, speak):
    assert speak(RULE, make.machine()) == []
