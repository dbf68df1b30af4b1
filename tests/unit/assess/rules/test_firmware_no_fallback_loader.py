# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import Firmware

RULE = "firmware.no-fallback-loader"


def test_speaks_of_debian(make, speak):
    assert speak(RULE, make.machine(guest=make.linux, firmware=Firmware.UEFI)) == [
        ("", "Debian installs none at the place that is always found.")
    ]


def test_is_silent_about_windows(make, speak):
    assert speak(RULE, make.machine(guest=make.windows, firmware=Firmware.UEFI)) == []


def test_is_silent_about_bios(make, speak):
    assert speak(RULE, make.machine(guest=make.linux)) == []


def test_does_not_know_of_an_unknown_system(make, doubt):
    assert doubt(RULE, make.machine(guest=make.guest(), firmware=Firmware.UEFI)) == [
        "The guest operating system is not known."
    ]
