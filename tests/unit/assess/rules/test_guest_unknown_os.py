# SPDX-License-Identifier: Apache-2.0

RULE = "guest.unknown-os"


def test_speaks_of_an_id_that_no_row_knows(make, speak):
    assert speak(RULE, make.machine(guest=make.guest("templeOsGuest"))) == [
        ("", "No mapping row knows “templeOsGuest”; a generic template is used.")
    ]


def test_speaks_of_no_word_at_all(make, speak):
    assert speak(RULE, make.machine(guest=make.guest())) == [
        ("", "The source does not say which operating system runs here; a generic template is used.")
    ]


def test_is_silent_about_a_known_id(make, speak):
    assert speak(RULE, make.machine(guest=make.linux)) == []
