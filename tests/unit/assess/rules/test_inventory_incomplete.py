# SPDX-License-Identifier: Apache-2.0

RULE = "inventory.incomplete"


def test_speaks_of_a_damaged_appliance(make, speak):
    assert speak(
        RULE, make.machine(), problems=(make.problem(subject="old.ova", code="BAD-IMAGE", text="ends early"),)
    ) == [("old.ova", "ends early (BAD-IMAGE)")]


def test_is_silent_about_nothing_wrong(make, speak):
    assert speak(RULE, make.machine()) == []
