# SPDX-License-Identifier: Apache-2.0

RULE = "source.drs"


def test_speaks_of_a_cluster_that_balances(make, speak):
    assert speak(RULE, make.machine(), kind="vsphere", clusters=(make.cluster(name="C1", drs="fullyAutomated"),)) == [
        ("C1", "DRS is fully automated in “C1”.")
    ]


def test_is_silent_about_manual(make, speak):
    assert speak(RULE, make.machine(), kind="vsphere", clusters=(make.cluster(name="C1", drs="manual"),)) == []


def test_does_not_know_without_clusters(make, doubt):
    assert doubt(RULE, make.machine(), kind="vsphere") == ["The settings of the source's clusters are not known."]
