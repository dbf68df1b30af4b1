# SPDX-License-Identifier: Apache-2.0

RULE = "target.too-many-hosts"


def test_speaks_of_sixty_five(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts(hosts=tuple(make.host(uuid=str(n)) for n in range(65)))) == [
        ("", "65 hosts; 64 are supported.")
    ]


def test_is_silent_about_one(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["No pool was asked."]
