# SPDX-License-Identifier: Apache-2.0

RULE = "target.old-release"


def test_speaks_of_xcp_ng_8_2(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts(version="8.2.1")) == [("", "XCP-ng 8.2.1.")]


def test_is_silent_about_xcp_ng_8_3(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["No pool was asked."]
