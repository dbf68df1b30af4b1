# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import Firmware, NicModel, Other

RULE = "nic.model-changes"


def test_speaks_of_two_vmware_cards(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(0, model=NicModel.VMXNET3), make.nic(1, model=NicModel.E1000)))) == [
        ("", "e1000, vmxnet3 at the source; rtl8139 until PV drivers run, then the Xen network card.")
    ]


def test_speaks_of_a_word_of_the_source_under_uefi(make, speak):
    assert speak(RULE, make.machine(firmware=Firmware.UEFI, nics=(make.nic(model=Other("ne2k")),))) == [
        ("", "ne2k at the source; e1000 until PV drivers run, then the Xen network card.")
    ]


def test_is_silent_about_a_card_that_comes_from_xen(make, speak):
    assert speak(RULE, make.machine()) == []


def test_is_silent_about_no_cards(make, speak):
    assert speak(RULE, make.machine(nics=())) == []
