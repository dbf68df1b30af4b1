# SPDX-License-Identifier: Apache-2.0

RULE = "firmware.not-stated"


def test_speaks_of_an_appliance_without_the_word(make, speak):
    assert speak(RULE, make.machine(firmware_stated=False)) == [("", "BIOS is assumed.")]


def test_is_silent_about_one_that_says_it(make, speak):
    assert speak(RULE, make.machine()) == []
