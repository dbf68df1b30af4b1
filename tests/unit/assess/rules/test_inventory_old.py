# SPDX-License-Identifier: Apache-2.0

from datetime import UTC, datetime

RULE = "inventory.old"


def test_speaks_of_a_month(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts(), taken=datetime(2025, 12, 1, tzinfo=UTC)) == [
        ("", "It was taken 32 days before the pool was asked.")
    ]


def test_is_silent_about_the_same_day(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The age of the inventory is not known without facts of the same day."]
