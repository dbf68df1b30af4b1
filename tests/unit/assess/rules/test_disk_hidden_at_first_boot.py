# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import DiskBus

RULE = "disk.hidden-at-first-boot"


def test_speaks_of_windows_with_five_disks(make, speak):
    assert speak(RULE, make.machine(guest=make.windows, disks=tuple(make.disk(n) for n in range(5)))) == [
        ("", "4 disks can be seen without PV drivers; unseen: Disk 5 (scsi0:4).")
    ]


def test_speaks_of_windows_with_four_disks_and_a_cd_drive(make, speak):
    assert speak(
        RULE,
        make.machine(
            guest=make.windows,
            disks=tuple(make.disk(n) for n in range(4)),
            cd_drives=(make.drive(position=0, bus=DiskBus.IDE),),
        ),
    ) == [("", "3 disks can be seen without PV drivers; unseen: Disk 4 (scsi0:3).")]


def test_speaks_of_an_unknown_guest(make, speak):
    assert speak(RULE, make.machine(guest=make.guest(), disks=tuple(make.disk(n) for n in range(5)))) == [
        ("", "4 disks can be seen without PV drivers; unseen: Disk 5 (scsi0:4).")
    ]


def test_is_silent_about_windows_with_four_disks(make, speak):
    assert speak(RULE, make.machine(guest=make.windows, disks=tuple(make.disk(n) for n in range(4)))) == []


def test_is_silent_about_a_linux(make, speak):
    assert speak(RULE, make.machine(guest=make.linux, disks=tuple(make.disk(n) for n in range(9)))) == []


def test_is_silent_about_a_bsd(make, speak):
    assert speak(RULE, make.machine(disks=tuple(make.disk(n) for n in range(9)))) == []
