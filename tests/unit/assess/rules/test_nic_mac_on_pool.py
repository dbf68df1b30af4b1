# SPDX-License-Identifier: Apache-2.0

RULE = "nic.mac-on-pool"


def test_speaks_of_an_address_in_use_in_other_letters(make, speak):
    assert speak(
        RULE,
        make.machine(nics=(make.nic(mac="00:50:56:ab:cd:ef"),)),
        pool=make.facts(macs=(make.used_mac(mac="00:50:56:AB:CD:EF", machine="router"),)),
    ) == [("Card 1", "00:50:56:ab:cd:ef belongs to “router” on the pool.")]


def test_is_silent_about_an_address_that_is_free(make, speak):
    assert (
        speak(RULE, make.machine(), pool=make.facts(macs=(make.used_mac(mac="00:50:56:ab:cd:ef", machine="router"),)))
        == []
    )


def test_is_silent_about_no_pool_asked(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["No pool was asked."]
