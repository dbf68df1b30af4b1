# SPDX-License-Identifier: Apache-2.0

RULE = "host.in-maintenance"


def test_speaks_of_such_a_host(make, speak):
    assert speak(
        RULE, make.machine(host="esx1"), kind="vsphere", hosts=(make.source_host(name="esx1", in_maintenance=True),)
    ) == [("", "Host “esx1”.")]


def test_is_silent_about_a_host_at_work(make, speak):
    assert speak(RULE, make.machine(host="esx1"), kind="vsphere", hosts=(make.source_host(name="esx1"),)) == []


def test_does_not_know_of_a_host_that_is_not_listed(make, doubt):
    assert doubt(RULE, make.machine(host="esx1"), kind="vsphere") == [
        "The source does not tell the state of some hosts."
    ]
