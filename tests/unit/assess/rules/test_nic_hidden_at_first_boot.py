# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import Firmware

RULE = "nic.hidden-at-first-boot"


def test_speaks_of_windows_with_three_cards_under_uefi(make, speak):
    assert speak(
        RULE, make.machine(guest=make.windows, firmware=Firmware.UEFI, nics=tuple(make.nic(n) for n in range(3)))
    ) == [("", "2 network cards can be seen without PV drivers; unseen: Card 3.")]


def test_speaks_of_windows_with_nine_cards_under_bios(make, speak):
    assert speak(RULE, make.machine(guest=make.windows, nics=tuple(make.nic(n) for n in range(9)))) == [
        ("", "8 network cards can be seen without PV drivers; unseen: Card 9.")
    ]


def test_is_silent_about_windows_with_two_cards_under_uefi(make, speak):
    assert (
        speak(RULE, make.machine(guest=make.windows, firmware=Firmware.UEFI, nics=tuple(make.nic(n) for n in range(2))))
        == []
    )


def test_is_silent_about_windows_with_eight_cards_under_bios(make, speak):
    assert speak(RULE, make.machine(guest=make.windows, nics=tuple(make.nic(n) for n in range(8)))) == []


def test_is_silent_about_a_linux(make, speak):
    assert (
        speak(RULE, make.machine(guest=make.linux, firmware=Firmware.UEFI, nics=tuple(make.nic(n) for n in range(9))))
        == []
    )
