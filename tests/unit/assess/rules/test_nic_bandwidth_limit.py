# SPDX-License-Identifier: Apache-2.0

RULE = "nic.bandwidth-limit"


def test_speaks_of_a_limit(make, speak):
    assert speak(RULE, make.machine(nics=(make.nic(bandwidth_limit_bps=100_000_000),))) == [("Card 1", "100 Mbit/s.")]


def test_is_silent_about_none(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
