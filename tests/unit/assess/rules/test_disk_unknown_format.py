# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import Other

RULE = "disk.unknown-format"


def test_speaks_of_a_word_of_the_source(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(format=Other("vdi")),))) == [
        ("Disk 1 (scsi0:0)", "The source calls the format “vdi”.")
    ]


def test_is_silent_about_a_vmdk(make, speak):
    assert speak(RULE, make.machine()) == []
