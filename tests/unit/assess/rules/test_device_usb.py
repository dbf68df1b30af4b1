# SPDX-License-Identifier: Apache-2.0

RULE = "device.usb"


def test_speaks_of_a_usb_key(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="usb", label="Licence key"),))) == [
        ("Licence key", "The guest loses this device.")
    ]


def test_is_silent_about_another_device(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="sound", label="Sound"),))) == []
