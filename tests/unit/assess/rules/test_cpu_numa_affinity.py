# SPDX-License-Identifier: Apache-2.0

RULE = "cpu.numa-affinity"


def test_speaks_of_a_binding(make, speak):
    assert speak(RULE, make.machine(cpu=make.cpu(count=2, numa_affinity="0,1"))) == [("", "Nodes 0,1.")]


def test_is_silent_about_none(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
