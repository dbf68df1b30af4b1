# SPDX-License-Identifier: Apache-2.0

RULE = "machine.starts-again"


def test_speaks_of_a_machine_that_starts_itself(make, speak):
    assert speak(RULE, make.machine(start_action="Start"), kind="hyperv") == [("", "Its start action is “Start”.")]


def test_is_silent_about_a_machine_that_does_not(make, speak):
    assert speak(RULE, make.machine(start_action="Nothing"), kind="hyperv") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(), kind="hyperv") == ["The source does not tell the start action of the machine."]


def test_is_silent_about_what_hyper_v_does_by_default(make, speak):
    assert speak(RULE, make.machine(start_action="StartIfRunning"), kind="hyperv") == []
