# SPDX-License-Identifier: Apache-2.0

RULE = "target.no-host"


def test_speaks_of_a_disabled_host(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts(hosts=(make.host(enabled=False),))) == [
        ("", "1 host, none enabled.")
    ]


def test_is_silent_about_an_enabled_host(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["No pool was asked."]
