# SPDX-License-Identifier: Apache-2.0

import pytest

RULE = "nic.trunk"


@pytest.mark.parametrize(
    ("filters", "says"), [(False, "on the pool every VLAN reaches the guest"), (True, "only these")]
)
def test_speaks_of_a_trunk(make, speak, filters, says):
    trunk = (make.vlan_range(first=10, last=20), make.vlan_range(first=30, last=30))
    machine = make.machine(nics=(make.nic(network="LAN"),))
    networks = (make.source_network(name="LAN", trunk=trunk),)
    ((card, text),) = speak(RULE, machine, networks=networks, pool=make.facts(vif_trunks=filters))
    assert card == "Card 1"
    assert text.startswith("VLANs 10-20, 30 of network “LAN”; ")
    assert says in text


def test_vlan_4095_is_every_vlan(make, speak):
    ((_, text),) = speak(RULE, make.machine(nics=(make.nic(vlan=4095),)), pool=make.facts(vif_trunks=True))
    assert text == "VLANs 0-4094 of network “LAN”; on the pool every VLAN reaches the guest."


def test_is_silent_about_one_vlan(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(vlan=30),)), pool=make.facts()) == []


def test_does_not_know_from_files(make, doubt):
    assert doubt(RULE, make.machine(), kind="ovf") == [
        "The settings of port groups and switches are not in files and exports."
    ]
