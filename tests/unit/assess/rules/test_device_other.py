# SPDX-License-Identifier: Apache-2.0

RULE = "device.other"


def test_speaks_of_a_watchdog(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="watchdog", label="i6300esb"),))) == [
        ("i6300esb", "A device of the kind “watchdog”.")
    ]


def test_is_silent_about_a_device_that_another_rule_speaks_of(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="floppy", label="Floppy 1"),))) == []


def test_is_silent_about_a_display_which_every_machine_has(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="video", label="VGA"),))) == []
