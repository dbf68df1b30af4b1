# SPDX-License-Identifier: Apache-2.0

RULE = "device.sound"


def test_speaks_of_a_sound_card(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="sound", label="Sound"),))) == [
        ("Sound", "A sound card.")
    ]


def test_is_silent_about_another_device(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="floppy", label="Floppy 1"),))) == []
