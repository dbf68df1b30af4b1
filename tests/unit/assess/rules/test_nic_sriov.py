# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import NicModel

RULE = "nic.sriov"


def test_speaks_of_a_virtual_function(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(model=NicModel.SRIOV),))) == [("Card 1", "On network “LAN”.")]


def test_is_silent_about_an_ordinary_card(make, speak):
    assert speak(RULE, make.machine()) == []
