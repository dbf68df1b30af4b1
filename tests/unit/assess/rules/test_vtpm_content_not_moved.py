# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import Firmware

RULE = "vtpm.content-not-moved"


def test_speaks_of_a_virtual_tpm(make, speak):
    assert speak(RULE, make.machine(firmware=Firmware.UEFI, vtpm=True)) == [
        ("", "The machine gets a new, empty virtual TPM.")
    ]


def test_is_silent_about_none(make, speak):
    assert speak(RULE, make.machine(firmware=Firmware.UEFI)) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
