# SPDX-License-Identifier: Apache-2.0

RULE = "machine.start-order"


def test_speaks_of_a_place_in_a_vapp(make, speak):
    assert speak(RULE, make.machine(group="Shop", start_order=2)) == [("", "Number 2 in “Shop”.")]


def test_is_silent_about_no_group(make, speak):
    assert speak(RULE, make.machine(start_order=2)) == []


def test_is_silent_about_no_order(make, speak):
    assert speak(RULE, make.machine(group="Shop")) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
