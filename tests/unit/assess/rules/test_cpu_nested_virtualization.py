# SPDX-License-Identifier: Apache-2.0

RULE = "cpu.nested-virtualization"


def test_speaks_of_a_hypervisor_inside(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=2, nested_virtualization=True))) == [
        ("", "The processor's virtualisation is exposed to the guest, which will not find it on XCP-ng.")
    ]


def test_is_silent_about_an_ordinary_guest(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
