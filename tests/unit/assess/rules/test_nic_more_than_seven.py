# SPDX-License-Identifier: Apache-2.0

RULE = "nic.more-than-seven"


def test_speaks_of_eight_cards_and_no_pool(make, speak):
    assert speak(RULE, make.machine(nics=tuple(make.nic(n) for n in range(8)))) == [
        ("", "8 network cards; pools that are not up to date take 7.")
    ]


def test_is_silent_about_seven_cards(make, speak):
    assert speak(RULE, make.machine(nics=tuple(make.nic(n) for n in range(7)))) == []


def test_is_silent_about_a_pool_that_is_known(make, speak):
    assert speak(RULE, make.machine(nics=tuple(make.nic(n) for n in range(8))), pool=make.facts()) == []


def test_is_silent_about_what_is_blocked_anyway(make, speak):
    assert speak(RULE, make.machine(nics=tuple(make.nic(n) for n in range(17)))) == []
