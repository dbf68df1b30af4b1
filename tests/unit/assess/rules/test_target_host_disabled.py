# SPDX-License-Identifier: Apache-2.0

RULE = "target.host-disabled"


def test_speaks_of_one_of_two(make, speak):
    assert speak(
        RULE, make.machine(), pool=make.facts(hosts=(make.host(), make.host(uuid="h2", name="xcp2", enabled=False)))
    ) == [("xcp2", "Host “xcp2”.")]


def test_is_silent_about_an_enabled_host(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["No pool was asked."]
