# SPDX-License-Identifier: Apache-2.0

RULE = "device.watchdog"


def test_speaks_of_a_watchdog(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="watchdog", label="Watchdog"),))) == [
        ("Watchdog", "The guest loses it.")
    ]


def test_is_silent_about_none(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
