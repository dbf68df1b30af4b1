# SPDX-License-Identifier: Apache-2.0

RULE = "vtpm.not-on-pool"


def test_speaks_of_a_pool_of_version_8_2(make, speak):
    assert speak(RULE, make.machine(vtpm=True), pool=make.facts(version="8.2.1", vtpm_supported=False)) == [
        ("", "The machine has a virtual TPM; XCP-ng 8.2.1 cannot make one.")
    ]


def test_is_silent_about_a_pool_of_version_8_3(make, speak):
    assert speak(RULE, make.machine(vtpm=True), pool=make.facts()) == []


def test_is_silent_about_no_virtual_tpm(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts(vtpm_supported=False)) == []


def test_is_silent_about_no_pool_asked(make, speak):
    assert speak(RULE, make.machine(vtpm=True)) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["No pool was asked."]
