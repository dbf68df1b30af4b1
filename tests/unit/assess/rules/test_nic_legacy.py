# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import NicModel

RULE = "nic.legacy"


def test_speaks_of_a_legacy_adapter(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(model=NicModel.LEGACY),))) == [("Card 1", "It is a legacy adapter.")]


def test_is_silent_about_an_ordinary_card(make, speak):
    assert speak(RULE, make.machine()) == []
