# SPDX-License-Identifier: Apache-2.0

RULE = "source.missing-privileges"


def test_speaks_of_a_privilege(make, speak):
    assert speak(RULE, make.machine(), kind="vsphere", missing=("VirtualMachine.State.CreateSnapshot",)) == [
        ("", "VirtualMachine.State.CreateSnapshot.")
    ]


def test_is_silent_about_files(make, speak):
    assert speak(RULE, make.machine(), kind="ovf") == []


def test_is_silent_about_an_account_with_all(make, speak):
    assert speak(RULE, make.machine(), kind="vsphere", account="v2x") == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["No account was asked for its privileges."]
