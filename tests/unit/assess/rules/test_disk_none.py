# SPDX-License-Identifier: Apache-2.0

RULE = "disk.none"


def test_speaks_of_no_disks(make, speak):
    assert speak(RULE, make.machine(disks=())) == [("", "The source lists no disk.")]


def test_is_silent_about_one_disk(make, speak):
    assert speak(RULE, make.machine()) == []
