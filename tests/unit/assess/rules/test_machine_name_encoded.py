# SPDX-License-Identifier: Apache-2.0

RULE = "machine.name-encoded"


def test_speaks_of_an_encoded_slash(make, speak):
    assert speak(RULE, make.machine(name="web%2fdmz")) == [("", "%2f in “web%2fdmz”.")]


def test_is_silent_about_a_plain_name(make, speak):
    assert speak(RULE, make.machine(name="100% web")) == []
