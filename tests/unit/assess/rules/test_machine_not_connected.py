# SPDX-License-Identifier: Apache-2.0

RULE = "machine.not-connected"


def test_speaks_of_an_orphan(make, speak):
    assert speak(RULE, make.machine(connection_state="orphaned"), kind="vsphere") == [
        ("", "The source calls it orphaned: what it tells may be old, and its disks cannot be read.")
    ]


def test_is_silent_about_a_connected_machine(make, speak):
    assert speak(RULE, make.machine(connection_state="connected"), kind="vsphere") == []


def test_is_silent_about_files(make, speak):
    assert speak(RULE, make.machine(connection_state="orphaned"), kind="ovf") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(), kind="vsphere") == ["The source does not tell whether it can reach the machine."]
