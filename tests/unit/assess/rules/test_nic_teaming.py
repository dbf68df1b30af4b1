# SPDX-License-Identifier: Apache-2.0

RULE = "nic.teaming"


def test_speaks_of_a_team(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(teaming=True),)), kind="hyperv") == [
        ("Card 1", "Teaming is allowed on it.")
    ]


def test_is_silent_about_a_single_card(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(teaming=False),)), kind="hyperv") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(), kind="hyperv") == ["The source does not tell whether guests team their cards."]
