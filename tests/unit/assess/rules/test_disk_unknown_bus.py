# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskBus, Other

RULE = "disk.unknown-bus"


def test_speaks_of_a_word_of_the_source(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(bus=Other("parallel SAS 9000")),))) == [
        ("Disk 1 (parallel SAS 9000 0:0)", "The source calls the controller “parallel SAS 9000”.")
    ]


def test_speaks_of_no_word(make, speak):
    assert speak(RULE, make.machine(disks=(make.disk(bus=DiskBus.UNKNOWN),))) == [
        ("Disk 1", "The source does not say which controller it is on.")
    ]


def test_is_silent_about_a_known_bus(make, speak):
    assert speak(RULE, make.machine()) == []
