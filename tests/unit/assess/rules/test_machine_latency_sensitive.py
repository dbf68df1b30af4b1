# SPDX-License-Identifier: Apache-2.0

RULE = "machine.latency-sensitive"


def test_speaks_of_high_sensitivity(make, speak):
    assert speak(RULE, make.machine(latency_sensitivity="high"), kind="vsphere") == [
        ("", "Its latency sensitivity is high.")
    ]


def test_is_silent_about_normal_sensitivity(make, speak):
    assert speak(RULE, make.machine(latency_sensitivity="normal"), kind="vsphere") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(), kind="vsphere") == ["The source does not tell the latency sensitivity."]
