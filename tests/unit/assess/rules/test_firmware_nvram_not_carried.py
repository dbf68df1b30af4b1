# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import Firmware

RULE = "firmware.nvram-not-carried"


def test_speaks_of_uefi(make, speak):
    assert speak(RULE, make.machine(firmware=Firmware.UEFI)) == [
        ("", "The firmware starts with an empty variable store.")
    ]


def test_is_silent_about_bios(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_of_firmware_that_is_not_stated(make, doubt):
    assert doubt(RULE, make.machine(firmware_stated=False)) == [
        "The source does not say whether the guest boots by BIOS or UEFI."
    ]
