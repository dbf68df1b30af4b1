# SPDX-License-Identifier: Apache-2.0

RULE = "nic.mac-invalid"


def test_speaks_of_words(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac="not an address"),))) == [
        ("Card 1", "The source says “not an address”.")
    ]


def test_speaks_of_zeros(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac="00:00:00:00:00:00"),))) == [
        ("Card 1", "The source says “00:00:00:00:00:00”.")
    ]


def test_speaks_of_five_bytes(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac="00:50:56:01:02"),))) == [
        ("Card 1", "The source says “00:50:56:01:02”.")
    ]


def test_is_silent_about_an_address(make, speak):
    assert speak(RULE, make.machine()) == []


def test_is_silent_about_no_address(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(mac=""),))) == []
