# SPDX-License-Identifier: Apache-2.0

RULE = "device.other"


def test_speaks_of_a_balloon(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="balloon", label="i6300esb"),))) == [
        ("i6300esb", "A device of the kind “balloon”.")
    ]


def test_is_silent_about_a_device_that_another_rule_speaks_of(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="floppy", label="Floppy 1"),))) == []


def test_is_silent_about_a_display_which_every_machine_has(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="video", label="VGA"),))) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
