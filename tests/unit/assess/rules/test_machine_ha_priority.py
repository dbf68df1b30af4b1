# SPDX-License-Identifier: Apache-2.0

RULE = "machine.ha-priority"


def test_speaks_of_a_priority(make, speak):
    assert speak(RULE, make.machine(ha_priority="high"), kind="vsphere") == [
        ("", "Its priority “high” becomes restart.")
    ]


def test_speaks_of_a_cluster_with_it(make, speak):
    assert speak(RULE, make.machine(cluster="C1"), kind="vsphere", clusters=(make.cluster(name="C1", ha=True),)) == [
        ("", "Cluster “C1” restarts it when its host fails; the plan sets no priority.")
    ]


def test_is_silent_about_a_priority_that_is_off(make, speak):
    assert speak(RULE, make.machine(ha_priority="disabled"), kind="vsphere") == []


def test_is_silent_about_a_cluster_without(make, speak):
    assert speak(RULE, make.machine(cluster="C1"), kind="vsphere", clusters=(make.cluster(name="C1", ha=False),)) == []


def test_is_silent_about_no_cluster(make, speak):
    assert speak(RULE, make.machine(), kind="vsphere") == []


def test_does_not_know_of_a_cluster_that_is_not_listed(make, doubt):
    assert doubt(RULE, make.machine(cluster="C1"), kind="vsphere") == [
        "The source does not tell whether its cluster restarts machines."
    ]
