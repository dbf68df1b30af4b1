# SPDX-License-Identifier: Apache-2.0

RULE = "machine.consolidation-needed"


def test_speaks_of_files_left_behind(make, speak):
    assert speak(RULE, make.machine(consolidation_needed=True), kind="vsphere") == [
        ("", "The source says that deleted snapshots left files behind.")
    ]


def test_is_silent_about_a_machine_without(make, speak):
    assert speak(RULE, make.machine(consolidation_needed=False), kind="vsphere") == []


def test_is_silent_about_files(make, speak):
    assert speak(RULE, make.machine(consolidation_needed=True), kind="ovf") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(), kind="vsphere") == ["The source does not tell whether disks need consolidation."]
