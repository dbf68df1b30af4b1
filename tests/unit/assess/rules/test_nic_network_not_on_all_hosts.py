# SPDX-License-Identifier: Apache-2.0

RULE = "nic.network-not-on-all-hosts"


def test_speaks_of_a_host_without(make, speak):
    assert speak(
        RULE,
        make.machine(),
        pool=make.facts(
            hosts=(make.host(), make.host(uuid="host-2", name="xcp2")),
            networks=(make.network(uuid="net-1", name="LAN", hosts=("host-1",)),),
        ),
    ) == [("Card 1", "“LAN” is not on xcp2.")]


def test_is_silent_about_a_network_everywhere(make, speak):
    assert (
        speak(
            RULE, make.machine(), pool=make.facts(networks=(make.network(uuid="net-1", name="LAN", hosts=("host-1",)),))
        )
        == []
    )


def test_is_silent_about_an_internal_network(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The networks of the pool are not known."]
