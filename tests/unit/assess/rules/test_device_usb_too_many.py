# SPDX-License-Identifier: Apache-2.0

RULE = "device.usb-too-many"


def test_speaks_of_seven(make, speak):
    assert speak(RULE, make.machine(devices=tuple(make.device(kind="usb", label=str(n)) for n in range(7)))) == [
        ("", "7 USB devices; at most 6 are possible.")
    ]


def test_is_silent_about_six(make, speak):
    assert speak(RULE, make.machine(devices=tuple(make.device(kind="usb", label=str(n)) for n in range(6)))) == []
