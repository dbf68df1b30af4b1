# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import Firmware

RULE = "firmware.uefi-needs-nvme"


def test_speaks_of_windows_7_on_uefi(make, speak):
    assert speak(RULE, make.machine(guest=make.old_windows, firmware=Firmware.UEFI)) == [
        ("", "Microsoft Windows 7 (64-bit) has no NVMe driver of its own.")
    ]


def test_is_silent_about_windows_7_on_bios(make, speak):
    assert speak(RULE, make.machine(guest=make.old_windows)) == []


def test_is_silent_about_server_2019_on_uefi(make, speak):
    assert speak(RULE, make.machine(guest=make.windows, firmware=Firmware.UEFI)) == []


def test_does_not_know_of_an_unknown_system(make, doubt):
    assert doubt(RULE, make.machine(firmware=Firmware.UEFI, guest=make.guest())) == [
        "The guest operating system is not known."
    ]
