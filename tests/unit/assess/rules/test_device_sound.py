# SPDX-License-Identifier: Apache-2.0

RULE = "device.sound"


def test_speaks_of_a_sound_card(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="sound", label="Sound"),))) == [
        ("Sound", "A sound card.")
    ]


def test_is_silent_about_another_device(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="floppy", label="Floppy 1"),))) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
