# SPDX-License-Identifier: Apache-2.0

RULE = "source.dpm"


def test_speaks_of_a_cluster_that_saves_power(make, speak):
    assert speak(RULE, make.machine(), kind="vsphere", clusters=(make.cluster(name="C1", dpm=True),)) == [
        ("C1", "DPM is on in “C1”.")
    ]


def test_is_silent_about_none(make, speak):
    assert speak(RULE, make.machine(), kind="vsphere", clusters=(make.cluster(name="C1", dpm=False),)) == []


def test_does_not_know_without_clusters(make, doubt):
    assert doubt(RULE, make.machine(), kind="vsphere") == ["The settings of the source's clusters are not known."]
