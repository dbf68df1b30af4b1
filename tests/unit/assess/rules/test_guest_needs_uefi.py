# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import Firmware

RULE = "guest.needs-uefi"


def test_speaks_of_windows_11_on_bios(make, speak):
    assert speak(RULE, make.machine(guest=make.guest("windows11_64Guest", "Microsoft Windows 11 (64-bit)"))) == [
        ("", "Microsoft Windows 11 (64-bit) boots by BIOS here.")
    ]


def test_is_silent_about_windows_11_on_uefi(make, speak):
    assert speak(RULE, make.machine(guest=make.guest("windows11_64Guest"), firmware=Firmware.UEFI)) == []


def test_is_silent_about_a_firmware_that_is_only_assumed(make, speak):
    assert speak(RULE, make.machine(guest=make.guest("windows11_64Guest"), firmware_stated=False)) == []


def test_is_silent_about_windows_server_2019(make, speak):
    assert speak(RULE, make.machine(guest=make.windows)) == []


def test_does_not_know_of_firmware_that_is_not_stated(make, doubt):
    windows = make.guest("windows11_64Guest", "Microsoft Windows 11 (64-bit)")
    assert doubt(RULE, make.machine(firmware_stated=False, guest=windows)) == [
        "The source does not say whether the guest boots by BIOS or UEFI."
    ]
