# SPDX-License-Identifier: Apache-2.0

RULE = "guest.template-not-on-pool"


def test_speaks_of_an_older_pool(make, speak):
    assert speak(RULE, make.machine(guest=make.linux), pool=make.facts()) == [
        ("", "Debian 12 asks for debian-12; a generic template is used instead.")
    ]


def test_is_silent_about_a_pool_that_has_it(make, speak):
    assert speak(RULE, make.machine(guest=make.linux), pool=make.facts(templates=(make.template("debian-12"),))) == []


def test_is_silent_about_no_pool_asked(make, speak):
    assert speak(RULE, make.machine(guest=make.linux)) == []


def test_is_silent_about_an_offline_target(make, speak):
    assert speak(RULE, make.machine(guest=make.linux), pool=make.xva) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The templates of the pool are not known."]
