# SPDX-License-Identifier: Apache-2.0

RULE = "storage.no-default"


def test_speaks_of_two_without(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts(storage=(make.sr(), make.sr(uuid="sr-2")))) == [
        ("", "2 could hold disks.")
    ]


def test_is_silent_about_a_default(make, speak):
    assert (
        speak(RULE, make.machine(), pool=make.facts(storage=(make.sr(), make.sr(uuid="sr-2", is_default=True)))) == []
    )


def test_is_silent_about_a_single_one(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The storage repositories of the pool are not known."]
