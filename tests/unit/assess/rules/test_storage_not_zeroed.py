# SPDX-License-Identifier: Apache-2.0

RULE = "storage.not-zeroed"


def test_speaks_of_such_storage(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts(storage=(make.sr(prezeroed=False),))) == [("", "Local.")]


def test_is_silent_about_zeroed_storage(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The storage repositories of the pool are not known."]
