# SPDX-License-Identifier: Apache-2.0

RULE = "firmware.secure-boot-template"


def test_speaks_of_a_shielded_template(make, speak):
    assert speak(RULE, make.machine(secure_boot=True, secure_boot_template="OpenSourceShieldedVM"), kind="hyperv") == [
        ("", "“OpenSourceShieldedVM”.")
    ]


def test_is_silent_about_a_usual_one(make, speak):
    assert speak(RULE, make.machine(secure_boot=True, secure_boot_template="MicrosoftWindows"), kind="hyperv") == []


def test_is_silent_about_no_secure_boot(make, speak):
    assert speak(RULE, make.machine(), kind="hyperv") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(secure_boot=True), kind="hyperv") == [
        "The source does not tell the Secure Boot template."
    ]
