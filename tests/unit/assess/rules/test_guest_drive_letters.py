# SPDX-License-Identifier: Apache-2.0

RULE = "guest.drive-letters"


def test_speaks_of_two_disks_of_windows(make, speak):
    assert speak(RULE, make.machine(guest=make.windows, disks=(make.disk(), make.disk(1)))) == [
        ("", "2 disks, and no word of their letters.")
    ]


def test_is_silent_about_one_disk(make, speak):
    assert speak(RULE, make.machine(guest=make.windows)) == []


def test_is_silent_about_linux(make, speak):
    assert speak(RULE, make.machine(guest=make.linux, disks=(make.disk(), make.disk(1)))) == []
