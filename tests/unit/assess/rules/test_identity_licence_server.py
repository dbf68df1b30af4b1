# SPDX-License-Identifier: Apache-2.0

RULE = "identity.licence-server"


def test_speaks_of_a_name(make, speak):
    assert speak(RULE, make.machine(name="flexlm-01")) == [("", "Its name, notes or tags say so.")]


def test_speaks_of_a_note(make, speak):
    assert speak(RULE, make.machine(notes="Licence server of CAD")) == [("", "Its name, notes or tags say so.")]


def test_is_silent_about_a_web_server(make, speak):
    assert speak(RULE, make.machine(name="public-web", notes="for clickers")) == []
