# SPDX-License-Identifier: Apache-2.0

RULE = "nic.mac-kept-by-restore"


def test_speaks_of_an_xva(make, speak):
    assert speak(RULE, make.machine(), pool=make.xva) == [
        ("", "An ordinary import gives every network card a new address.")
    ]


def test_is_silent_about_a_pool(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []


def test_is_silent_about_a_card_without_an_address(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac=""),)), pool=make.xva) == []
