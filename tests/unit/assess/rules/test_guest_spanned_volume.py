# SPDX-License-Identifier: Apache-2.0

RULE = "guest.spanned-volume"


def test_speaks_of_two_disks(make, speak):
    assert speak(RULE, make.machine(guest=make.guest(volumes=(make.volume(path="D:", disks=("d0", "d1")),)))) == [
        ("D:", "It is on 2 disks.")
    ]


def test_is_silent_about_one_disk(make, speak):
    assert speak(RULE, make.machine(guest=make.guest(volumes=(make.volume(path="D:", disks=("d0",)),)))) == []


def test_does_not_know_without_tools(make, doubt):
    assert doubt(RULE, make.machine(disks=(make.disk(), make.disk(1)))) == [
        "Which volumes of the guest are on which disks is not known."
    ]
