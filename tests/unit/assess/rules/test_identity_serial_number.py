# SPDX-License-Identifier: Apache-2.0

RULE = "identity.serial-number"


def test_speaks_of_a_serial_number(make, speak):
    assert speak(RULE, make.machine(serial_number="VMware-42")) == [("", "serial number VMware-42.")]


def test_is_silent_about_none(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
