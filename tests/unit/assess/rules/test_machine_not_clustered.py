# SPDX-License-Identifier: Apache-2.0

RULE = "machine.not-clustered"


def test_speaks_of_a_machine_beside_the_cluster(make, speak):
    assert speak(RULE, make.machine(cluster="C1", cluster_role=False), kind="hyperv") == [
        ("", "It is on a node of “C1”.")
    ]


def test_is_silent_about_a_role(make, speak):
    assert speak(RULE, make.machine(cluster="C1", cluster_role=True), kind="hyperv") == []


def test_is_silent_about_a_host_of_its_own(make, speak):
    assert speak(RULE, make.machine(cluster_role=False), kind="hyperv") == []


def test_does_not_know_where_the_source_does_not_tell(make, doubt):
    assert doubt(RULE, make.machine(cluster="C1"), kind="hyperv") == [
        "The source does not tell whether the machine is a role of its cluster."
    ]
