# SPDX-License-Identifier: Apache-2.0

RULE = "device.fibre-channel"


def test_speaks_of_an_adapter(make, speak):
    assert speak(RULE, make.machine(devices=(make.device(kind="fibre_channel", label="HBA 1"),))) == [
        ("HBA 1", "Its LUNs belong to the guest alone.")
    ]


def test_is_silent_about_none(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
