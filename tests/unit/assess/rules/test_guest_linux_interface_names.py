# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import NicModel

RULE = "guest.linux-interface-names"


def test_speaks_of_a_linux_with_a_vmware_card(make, speak):
    assert speak(RULE, make.machine(guest=make.linux, nics=(make.nic(model=NicModel.VMXNET3),))) == [
        ("", "1 network card will be named enX0 or eth0 and onwards.")
    ]


def test_is_silent_about_a_linux_from_xen(make, speak):
    assert speak(RULE, make.machine(guest=make.linux)) == []


def test_is_silent_about_windows(make, speak):
    assert speak(RULE, make.machine(guest=make.windows, nics=(make.nic(model=NicModel.VMXNET3),))) == []


def test_does_not_know_of_an_unknown_system(make, doubt):
    assert doubt(RULE, make.machine(guest=make.guest())) == ["The guest operating system is not known."]
