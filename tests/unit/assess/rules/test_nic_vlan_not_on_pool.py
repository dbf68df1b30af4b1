# SPDX-License-Identifier: Apache-2.0

RULE = "nic.vlan-not-on-pool"


def test_speaks_of_a_vlan_that_the_pool_lacks(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(vlan=30),)), pool=make.facts()) == [
        ("Card 1", "VLAN 30 of network “LAN”.")
    ]


def test_is_silent_about_a_vlan_that_it_has(make, speak):
    assert (
        speak(
            RULE,
            make.machine(nics=(make.nic(vlan=30),)),
            pool=make.facts(networks=(make.network(uuid="n", name="LAN", vlan=30),)),
        )
        == []
    )


def test_is_silent_about_no_vlan(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(vlan=0),)), pool=make.facts()) == []


def test_is_silent_about_no_pool_asked(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(vlan=30),))) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The networks of the pool are not known."]
