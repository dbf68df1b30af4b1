# SPDX-License-Identifier: Apache-2.0

from v2x.model.machine import Firmware

RULE = "firmware.secure-boot"


def test_speaks_of_a_pool_without_certificates(make, speak):
    assert speak(
        RULE, make.machine(firmware=Firmware.UEFI, secure_boot=True), pool=make.facts(secure_boot_certificates=False)
    ) == [
        ("", "Secure Boot is on, and the pool has no certificates: it starts without Secure Boot until they are there.")
    ]


def test_is_silent_about_a_pool_with_certificates(make, speak):
    assert speak(RULE, make.machine(firmware=Firmware.UEFI, secure_boot=True), pool=make.facts()) == []


def test_is_silent_about_secure_boot_off(make, speak):
    assert speak(RULE, make.machine(firmware=Firmware.UEFI), pool=make.facts(secure_boot_certificates=False)) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["No pool was asked."]
