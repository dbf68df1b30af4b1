# SPDX-License-Identifier: Apache-2.0

RULE = "identity.time-sync"


def test_speaks_of_synchronisation(make, speak):
    assert speak(RULE, make.machine(guest=make.guest(time_sync=True))) == [
        ("", "Time synchronisation by the host is on.")
    ]


def test_is_silent_about_none(make, speak):
    assert speak(RULE, make.machine(guest=make.guest(time_sync=False))) == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine()) == ["Whether the host sets the clock of guests is not known."]
