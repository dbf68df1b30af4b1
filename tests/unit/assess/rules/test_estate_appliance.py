# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import Estate as Kind

RULE = "estate.appliance"


def test_speaks_of_what_it_is(make, speak):
    assert speak(RULE, make.machine(estate=Kind.APPLIANCE, estate_reason="By its name")) == [("", "By its name.")]


def test_is_silent_about_somebodys_server(make, speak):
    assert speak(RULE, make.machine()) == []


def test_is_silent_about_another_kind(make, speak):
    assert speak(RULE, make.machine(estate=Kind.PLACEHOLDER)) == []
