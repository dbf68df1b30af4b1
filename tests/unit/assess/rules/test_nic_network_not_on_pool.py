# SPDX-License-Identifier: Apache-2.0

RULE = "nic.network-not-on-pool"


def test_speaks_of_a_name_that_the_pool_lacks(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(network="DMZ"),)), pool=make.facts()) == [
        ("Card 1", "The pool has no network “DMZ”.")
    ]


def test_speaks_of_no_name(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(network=""),)), pool=make.facts()) == [
        ("Card 1", "The source does not say which network it is on.")
    ]


def test_is_silent_about_a_name_in_other_letters(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(network="lan"),)), pool=make.facts()) == []


def test_is_silent_about_no_pool_asked(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(network="DMZ"),))) == []
