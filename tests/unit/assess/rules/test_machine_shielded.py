# SPDX-License-Identifier: Apache-2.0

RULE = "machine.shielded"


def test_speaks_of_a_shielded_machine(make, speak):
    assert speak(RULE, make.machine(shielded=True), kind="hyperv") == [
        ("", "Only attested Hyper-V hosts can start it.")
    ]


def test_is_silent_about_a_plain_machine(make, speak):
    assert speak(RULE, make.machine(shielded=False), kind="hyperv") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(), kind="hyperv") == ["The source does not tell whether the machine is shielded."]
