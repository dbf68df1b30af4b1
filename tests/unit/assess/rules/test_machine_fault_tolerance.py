# SPDX-License-Identifier: Apache-2.0

RULE = "machine.fault-tolerance"


def test_speaks_of_a_machine_with_a_twin(make, speak):
    assert speak(RULE, make.machine(fault_tolerance=True), kind="vsphere") == [
        ("", "It runs with a second copy of itself.")
    ]


def test_is_silent_about_a_machine_without(make, speak):
    assert speak(RULE, make.machine(fault_tolerance=False), kind="vsphere") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(), kind="vsphere") == ["The source does not tell whether Fault Tolerance is on."]
