# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import Firmware

RULE = "vtpm.needs-uefi"


def test_speaks_of_a_virtual_tpm_on_bios(make, speak):
    assert speak(RULE, make.machine(vtpm=True)) == [("", "The machine has a virtual TPM and boots by BIOS.")]


def test_is_silent_about_a_virtual_tpm_on_uefi(make, speak):
    assert speak(RULE, make.machine(vtpm=True, firmware=Firmware.UEFI)) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
