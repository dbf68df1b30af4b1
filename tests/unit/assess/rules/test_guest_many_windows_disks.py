# SPDX-License-Identifier: Apache-2.0

RULE = "guest.many-windows-disks"


def test_speaks_of_two_disks(make, speak):
    assert speak(RULE, make.machine(guest=make.windows, disks=(make.disk(), make.disk(1)))) == [
        ("", "1 disk beside the first.")
    ]


def test_is_silent_about_one_disk(make, speak):
    assert speak(RULE, make.machine(guest=make.windows)) == []


def test_is_silent_about_linux(make, speak):
    assert speak(RULE, make.machine(guest=make.linux, disks=(make.disk(), make.disk(1)))) == []


def test_does_not_know_of_an_unknown_system(make, doubt):
    assert doubt(RULE, make.machine(guest=make.guest(), disks=(make.disk(), make.disk(1)))) == [
        "The guest operating system is not known."
    ]
