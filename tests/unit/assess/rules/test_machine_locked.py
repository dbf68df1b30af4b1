# SPDX-License-Identifier: Apache-2.0

RULE = "machine.locked"


def test_speaks_of_a_merge(make, speak):
    assert speak(RULE, make.machine(locks=("Merging disks",)), kind="hyperv") == [("", "Merging disks.")]


def test_is_silent_about_a_machine_at_rest(make, speak):
    assert speak(RULE, make.machine(), kind="hyperv") == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
