# SPDX-License-Identifier: Apache-2.0

RULE = "machine.encrypted"


def test_speaks_of_an_encrypted_machine(make, speak):
    assert speak(RULE, make.machine(encrypted=True), kind="vsphere") == [("", "Its configuration or state is sealed.")]


def test_is_silent_about_a_plain_machine(make, speak):
    assert speak(RULE, make.machine(encrypted=False), kind="vsphere") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(), kind="vsphere") == ["The source does not tell whether the machine is encrypted."]
