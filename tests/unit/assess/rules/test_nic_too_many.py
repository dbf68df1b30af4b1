# SPDX-License-Identifier: Apache-2.0

RULE = "nic.too-many"


def test_speaks_of_seventeen_cards(make, speak):
    assert speak(RULE, make.machine(nics=tuple(make.nic(n) for n in range(17)))) == [
        ("", "17 network cards; at most 16 are possible.")
    ]


def test_speaks_of_eight_cards_on_an_older_pool(make, speak):
    assert speak(
        RULE, make.machine(nics=tuple(make.nic(n) for n in range(8))), pool=make.facts(xapi_version="25.6.0")
    ) == [("", "8 network cards; at most 7 are possible.")]


def test_is_silent_about_sixteen_cards(make, speak):
    assert speak(RULE, make.machine(nics=tuple(make.nic(n) for n in range(16))), pool=make.facts()) == []


def test_is_silent_about_seven_cards_on_an_older_pool(make, speak):
    assert (
        speak(RULE, make.machine(nics=tuple(make.nic(n) for n in range(7))), pool=make.facts(xapi_version="1.249.41"))
        == []
    )


def test_does_not_know_without_the_release_of_a_pool(make, doubt):
    eight = make.machine(nics=tuple(make.nic(number) for number in range(8)))
    assert doubt(RULE, eight) == ["It depends on the release of the pool, which is not known."]
    assert doubt(RULE, eight, pool=make.facts()) == []
