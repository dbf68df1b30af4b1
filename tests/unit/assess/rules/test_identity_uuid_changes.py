# SPDX-License-Identifier: Apache-2.0

RULE = "identity.uuid-changes"


def test_speaks_of_a_uuid(make, speak):
    assert speak(RULE, make.machine(uuid="42-1")) == [("", "It was 42-1.")]


def test_is_silent_about_nothing_told(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine()) == ["The present UUID of some machines is not known."]
