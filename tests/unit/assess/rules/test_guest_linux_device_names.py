# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskBus

RULE = "guest.linux-device-names"


def test_speaks_of_a_linux_with_scsi_disks(make, speak):
    assert speak(RULE, make.machine(guest=make.linux, disks=(make.disk(0), make.disk(1)))) == [
        ("", "2 disks will be named /dev/xvda and onwards.")
    ]


def test_is_silent_about_a_linux_from_xen(make, speak):
    assert speak(RULE, make.machine(guest=make.linux, disks=(make.disk(bus=DiskBus.XEN),))) == []


def test_is_silent_about_windows(make, speak):
    assert speak(RULE, make.machine(guest=make.windows)) == []


def test_does_not_know_of_an_unknown_system(make, doubt):
    assert doubt(RULE, make.machine(guest=make.guest())) == ["The guest operating system is not known."]
