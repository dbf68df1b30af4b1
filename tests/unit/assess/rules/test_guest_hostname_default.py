# SPDX-License-Identifier: Apache-2.0

RULE = "guest.hostname-default"


def test_speaks_of_localhost(make, speak):
    assert speak(RULE, make.machine(guest=make.guest(hostname="localhost.localdomain"))) == [
        ("", "It calls itself “localhost.localdomain”.")
    ]


def test_is_silent_about_a_name(make, speak):
    assert speak(RULE, make.machine(guest=make.guest(hostname="web"))) == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine()) == ["The name of the guest is not known."]
