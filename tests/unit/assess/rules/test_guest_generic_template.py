# SPDX-License-Identifier: Apache-2.0

RULE = "guest.generic-template"


def test_speaks_of_a_guest_without_a_template_of_its_own(make, speak):
    assert speak(RULE, make.machine()) == [("", "FreeBSD uses the template other-install-media.")]


def test_is_silent_about_a_guest_with_one(make, speak):
    assert speak(RULE, make.machine(guest=make.linux)) == []


def test_is_silent_about_an_unknown_guest(make, speak):
    assert speak(RULE, make.machine(guest=make.guest())) == []
